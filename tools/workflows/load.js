// Runs in ComfyUI's page: loads a saved graph and says what the frontend makes of it.
async (graph) => {
  await app.loadGraphData(graph)
  const nodes = app.graph.nodes
  const { output } = await app.graphToPrompt()
  return JSON.stringify({
    prompt: output,
    missing: nodes.filter((node) => !LiteGraph.registered_node_types[node.type]).map((node) => node.type),
    red: nodes.filter((node) => node.has_errors).map((node) => node.type),
  })
}
