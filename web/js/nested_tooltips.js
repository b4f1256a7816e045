import { api } from "../../../scripts/api.js";
import { app } from "../../../scripts/app.js";

// ComfyUI's frontend takes the tooltips of the inputs below a choice from the schema, never from a translation.
async function translateNestedTooltips(definitions) {
  const language = app.extensionManager.setting.get("Comfy.Locale");
  const translated = await (await api.fetchApi("/i18n")).json();
  const texts = translated[language]?.nodeDefs ?? {};
  for (const [node, { input }] of Object.entries(definitions)) {
    if (node.startsWith("RemoteUpscale")) {
      translateNode(input.required ?? {}, texts[node]?.inputs ?? {});
    }
  }
}

function translateNode(inputs, texts) {
  for (const [choice, [type, more]] of Object.entries(inputs)) {
    if (type !== "COMFY_DYNAMICCOMBO_V3") continue;
    for (const { inputs: below } of more.options) {
      for (const [name, [, settings]] of Object.entries({ ...below.required, ...below.optional })) {
        settings.tooltip = texts[`${choice}_${name}`]?.tooltip ?? settings.tooltip;
      }
    }
  }
}

app.registerExtension({
  name: "RemoteUpscale.NestedTooltips",
  addCustomNodeDefs: translateNestedTooltips,
});
