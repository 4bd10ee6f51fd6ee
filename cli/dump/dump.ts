export const dump = async (_file: string, _options: object): Promise<void> => {}
