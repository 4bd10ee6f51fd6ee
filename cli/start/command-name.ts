/** How `stele` is said where it runs from. */
export const command = import.meta.url.includes('/node_modules/') ? 'npx stele' : 'npm run -s stele --'
