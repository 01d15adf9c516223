import { writeFileSync } from 'node:fs';
import { configJsonSchema } from './json-schema.js';
import { renderReference } from './reference.js';

// Run from dist/src/config: the project's folder is three levels up.
const project = new URL('../../../', import.meta.url);

writeFileSync(new URL('config/switchyard.schema.json', project), `${JSON.stringify(configJsonSchema(), null, 2)}\n`);
writeFileSync(new URL('docs/configuration.md', project), renderReference());
