import { api, array, bool, int16, int32, int8, string } from '../schema.ts'

/**
 * Resource types: 2 topic, 4 broker. Config sources: 1 topic, 4 static broker, 5 default. Config types: 1 boolean, 2 string,
 * 3 int, 4 short, 5 long, 6 double, 7 list, 8 class, 9 password.
 */
export const describeConfigs = api({
  key: 32,
  name: 'DescribeConfigs',
  versions: '1-4',
  flexible: '4+',
  request: {
    resources: array({
      resourceType: int8,
      resourceName: string,
      configurationKeys: array(string).nullable(),
    }),
    includeSynonyms: bool.default(false),
    includeDocumentation: bool.since(3).default(false),
  },
  response: {
    throttleTimeMs: int32.default(0),
    results: array({
      errorCode: int16,
      errorMessage: string.nullable(),
      resourceType: int8,
      resourceName: string,
      configs: array({
        name: string,
        value: string.nullable(),
        readOnly: bool,
        configSource: int8.default(-1),
        isSensitive: bool,
        synonyms: array({ name: string, value: string.nullable(), source: int8 }),
        configType: int8.since(3).default(0),
        documentation: string.since(3).nullable(),
      }),
    }),
  },
})
