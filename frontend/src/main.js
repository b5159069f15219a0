import { html, render } from "htm/preact";

import { settled } from "./address.js";
import { App } from "./app.js";

history.replaceState(null, "", settled(location.href));
render(html`<${App} />`, /** @type {HTMLElement} */ (document.getElementById("app")));
