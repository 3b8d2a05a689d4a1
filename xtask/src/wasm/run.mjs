// Runs a test program that was built for wasm32-unknown-unknown, as Cargo's runner: `node run.mjs PROGRAM.wasm`.
//
// On that target a program has no arguments and no output. All that comes back is what `main` gives: 0 if every test
// passed. A test that fails ends in a trap, whose stack names the test.
import { readFileSync } from "node:fs";

const module = new WebAssembly.Module(readFileSync(process.argv[2]));
const needed = WebAssembly.Module.imports(module);
if (needed.length > 0) {
  const names = needed.map((it) => `${it.module}.${it.name}`).join(", ");
  console.error(`the program needs what only a host could give: ${names}`);
  process.exit(1);
}
const { main } = new WebAssembly.Instance(module).exports;
const start = performance.now();
const code = main(0, 0);
const seconds = ((performance.now() - start) / 1000).toFixed(1);
console.log(code === 0 ? `every test passed in ${seconds} s` : `main gave ${code}`);
process.exit(code === 0 ? 0 : 1);
