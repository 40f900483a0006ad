import { afterAll } from 'vitest';
import { cleanUp } from './cleanup.ts';
import { seedProperties } from './seed.ts';

await seedProperties();
afterAll(cleanUp);
