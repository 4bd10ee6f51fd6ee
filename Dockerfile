# Node and Stele, and nothing else: image.ts says what is in it.
FROM node:26-trixie-slim AS build
WORKDIR /source
COPY package.json package-lock.json .npmrc ./
RUN npm ci
COPY . .
RUN node_modules/.bin/node build.ts && node_modules/.bin/node image.ts /image

FROM scratch
COPY --from=build /image /
ENV PATH=/usr/bin:/bin
USER 65532:65532
EXPOSE 9092 8080
ENTRYPOINT ["/usr/bin/stele"]
