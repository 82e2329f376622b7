// Loaded before the program (`nodeargs` in Pulumi.yaml). Node's util.inspect (20.20.2 at least) never returns when it
// colours a stack whose paths end right below node_modules or a scope in it, such as
// `/x/node_modules/@pulumi/resource.ts:1:2`. Source maps give @pulumi/pulumi just such paths, and Pulumi colours the
// stack of every program that fails: without this guard, a failing program would hang instead of saying why.
import util from "node:util";

const inspect = util.inspect;
const endless = /[\\/]node_modules[\\/](?:@[^\\/\n]*[\\/])?[^\\/\n]*$/m;

function guardedInspect(value, ...options) {
  const [first] = options;
  if (first?.colors !== true) return inspect(value, ...options);
  const plain = inspect(value, { ...first, colors: false });
  return endless.test(plain) ? plain : inspect(value, ...options);
}

util.inspect = Object.defineProperties(guardedInspect, Object.getOwnPropertyDescriptors(inspect));
