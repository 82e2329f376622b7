import pulumi from "@pulumi/eslint-plugin";
import prettier from "eslint-config-prettier";
import { createNodeResolver, importX } from "eslint-plugin-import-x";
import { defineConfig, globalIgnores } from "eslint/config";
import tseslint from "typescript-eslint";

/** Modules and globals through which code acts; the pure parts must do without. */
const acting = {
  modules: [
    "@pulumi/*",
    "execa",
    "minio",
    "p-retry",
    "child_process",
    "fs",
    "fs/promises",
    "net",
    "os",
    "http",
    "https",
    "timers",
    "timers/promises",
  ],
  globals: ["process", "fetch", "setTimeout", "setInterval", "performance"],
};

const actingGroups = acting.modules.flatMap((name) =>
  name.startsWith("@") || name.includes("-") || ["execa", "minio"].includes(name)
    ? [name]
    : [name, `node:${name}`],
);

/** Files that decide without acting: see "Who may import whom" in CONTRIBUTING.md. */
const pure = [
  "bench/core/**/*.ts",
  "components/planning/**/*.ts",
  "cloud-init/**/*.ts",
  "config/**/*.ts",
  "embedded/core/**/*.ts",
  "images/core/**/*.ts",
  "providers/**/core/**/*.ts",
  "server/core/**/*.ts",
  "scripts/lib/*-plan.ts",
  "stacks/observability/{grafana/model,images/core}/**/*.ts",
];

const noDates = [
  {
    selector: "NewExpression[callee.name='Date'][arguments.length=0]",
    message: "Pure code takes the time as an argument.",
  },
  {
    selector: "CallExpression[callee.object.name='Date'][callee.property.name='now']",
    message: "Pure code takes the time as an argument.",
  },
  {
    selector: "CallExpression[callee.object.name='Math'][callee.property.name='random']",
    message: "Pure code takes randomness as an argument.",
  },
];

/** Who may not import whom, and why; folders as globs. */
const boundaries = [
  ["./!(test)/**/*", ["./index.ts"], "Nothing imports the composition root."],
  [
    "./providers/**/*",
    ["./{components,cloud-init,config,embedded,images,scripts,server}/**", "./{config,index}.ts"],
    "Providers know nothing of the program around them.",
  ],
  [
    "./components/**/*",
    ["./{embedded,images,scripts}/**"],
    "Components know nothing of set-up and scripts.",
  ],
  ["./components/planning/**/*", ["./components/*.ts"], "Plans know nothing of components."],
  [
    "./cloud-init/**/*",
    ["./components/*.ts", "./{embedded,images,scripts}/**"],
    "The renderer stands alone.",
  ],
  [
    "./providers/*/core/**/*",
    ["./providers/*/effects/**", "./providers/*/{provider,resource}.ts"],
    "core decides, effects act.",
  ],
  [
    "./providers/*/effects/**/*",
    ["./providers/*/{provider,resource}.ts"],
    "effects serve the provider.",
  ],
  [
    "./{components/planning,cloud-init,config}/**/*",
    ["./providers/*/effects/**", "./providers/*/{provider,resource}.ts"],
    "Pure code decides; acting belongs to effects.",
  ],
  ["./embedded/**/*", ["./{components,images,scripts}/**"], "embedded stands alone."],
  ["./images/**/*", ["./{components,embedded,scripts}/**"], "images stands alone."],
  [
    "./server/**/*",
    ["./{components,cloud-init,config,embedded,images,scripts}/**"],
    "The server stands on the providers alone.",
  ],
  ["./server/core/**/*", ["./server/effects/**"], "core decides, effects act."],
  [
    "./stacks/**/*",
    ["./{components,config,embedded,scripts,server}/**", "./{config,index}.ts"],
    "Stacks stand on the providers' errors alone.",
  ],
  ["./scripts/**/*", ["./components/**"], "Scripts use the program through the Automation API."],
];

export default defineConfig(
  globalIgnores(["node_modules/", "sdks/", ".groundwork/", "coverage/", "**/dist/"]),
  tseslint.configs.strictTypeChecked,
  tseslint.configs.stylisticTypeChecked,
  {
    languageOptions: {
      parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname },
    },
    plugins: { "import-x": importX, "@pulumi": pulumi },
    settings: {
      "import-x/resolver-next": [createNodeResolver({ extensions: [".ts", ".js"] })],
    },
    rules: {
      "@pulumi/no-output-in-template-literal": "error",
      "@typescript-eslint/consistent-type-imports": [
        "error",
        { fixStyle: "inline-type-imports", disallowTypeAnnotations: false },
      ],
      // `process.env["X"]`: the compiler's noPropertyAccessFromIndexSignature wants the same.
      "@typescript-eslint/dot-notation": "off",
      "@typescript-eslint/no-confusing-void-expression": [
        "error",
        { ignoreArrowShorthand: true, ignoreVoidReturningFunctions: true },
      ],
      "@typescript-eslint/switch-exhaustiveness-check": [
        "error",
        { considerDefaultExhaustiveForUnions: true },
      ],
      "import-x/no-self-import": "error",
      "import-x/no-duplicates": "error",
      "import-x/no-restricted-paths": [
        "error",
        {
          basePath: import.meta.dirname,
          zones: boundaries.map(([target, from, message]) => ({ target, from, message })),
        },
      ],
      "no-console": "error",
      eqeqeq: "error",
    },
  },
  {
    files: ["config.ts", "components/**/*.ts", "index.ts", "providers/**/*.ts"],
    rules: {
      "no-restricted-syntax": [
        "error",
        {
          selector: "NewExpression[callee.property.name='Config'][callee.object.name='pulumi']",
          message: "config.ts alone reads the configuration; use what loadConfig() gives.",
        },
      ],
    },
  },
  {
    files: pure,
    rules: {
      "no-restricted-imports": [
        "error",
        {
          patterns: [
            { group: actingGroups, message: "Pure code decides; acting belongs to effects." },
          ],
        },
      ],
      "no-restricted-globals": ["error", ...acting.globals],
      "no-restricted-syntax": ["error", ...noDates],
    },
  },
  {
    // The reach of a dynamic provider to its user is console.log; pulumi.log does not arrive.
    // Scripts and tools are programs whose standard output is their interface.
    files: ["providers/**/*.ts", "providers/*.js", "scripts/**", "server/**/*.ts", "tools/**"],
    rules: { "no-console": "off" },
  },
  {
    files: ["test/**/*.ts"],
    rules: {
      // node:test-style promises: mocha awaits what `it` returns.
      "@typescript-eslint/no-non-null-assertion": "error",
      "@typescript-eslint/no-unused-expressions": "error",
      "no-console": "off",
    },
  },
  {
    files: ["**/*.js", "**/*.mjs", "**/*.cjs"],
    extends: [tseslint.configs.disableTypeChecked],
    rules: { "@pulumi/no-output-in-template-literal": "off" },
  },
  prettier,
);
