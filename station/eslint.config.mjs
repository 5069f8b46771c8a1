// Rules for the station page's JavaScript (`make lint`, or `npm run lint` in this folder).

import js from "@eslint/js";

const BROWSER_NAMES = [
  "AbortSignal", "AudioContext", "Blob", "CSS", "EventSource", "FormData", "IntersectionObserver", "ResizeObserver",
  "SharedWorker", "URL", "URLSearchParams", "atob", "clearTimeout", "crypto", "document", "fetch", "getComputedStyle",
  "localStorage", "performance", "requestAnimationFrame", "self", "sessionStorage", "setInterval", "setTimeout", "window",
];
const MARKUP = "Data reaches the page as text nodes and attributes (element.js), never as markup.";
const GETTER = "MethodDefinition[kind='get']";
const MUTATORS = "/^(add|clear|delete|pop|push|remove|set|shift|splice|unshift)$/";

export default [
  js.configs.recommended,
  {
    files: ["page/*.js"],
    languageOptions: {
      ecmaVersion: 2023,
      sourceType: "module",
      globals: Object.fromEntries(BROWSER_NAMES.map((name) => [name, "readonly"])),
    },
    rules: {
      "curly": ["error", "multi-line"],
      "eqeqeq": "error",
      "max-len": ["error", { code: 120 }],
      "max-lines": ["error", 300],
      "no-restricted-properties": ["error",
        { property: "innerHTML", message: MARKUP },
        { property: "outerHTML", message: MARKUP },
        { property: "insertAdjacentHTML", message: MARKUP },
      ],
      "no-restricted-syntax": ["error",
        { selector: `${GETTER} AssignmentExpression`, message: "A getter must not change anything." },
        { selector: `${GETTER} UpdateExpression`, message: "A getter must not change anything." },
        { selector: `${GETTER} UnaryExpression[operator='delete']`, message: "A getter must not change anything." },
        {
          selector: `${GETTER} CallExpression[callee.property.name=${MUTATORS}]`,
          message: "A getter must not change anything.",
        },
      ],
      "no-shadow": "error",
      "no-use-before-define": ["error", { functions: false, variables: false }],
      "no-var": "error",
      "prefer-const": "error",
      "prefer-template": "error",
    },
  },
];
