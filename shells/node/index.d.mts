export * from './dist/index.js';
import * as forebay from './dist/index.js';
export default forebay;
