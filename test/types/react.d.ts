/** The little of React that the tests draw forms with; the packages bring no types of their own. */
declare module 'react' {
  export function createElement(component: unknown, properties: object): object;
}

declare module 'react-dom/server' {
  export function renderToStaticMarkup(element: object): string;
}
