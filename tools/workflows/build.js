// Runs in ComfyUI's page: builds one described workflow with the frontend's own means, so that it saves what a user
// would save.
async (workflow) => {
  const [GAP_X, GAP_Y, TITLE, PADDING, GROUP_TITLE] = [90, 90, 30, 20, 44]
  const NOTE_WIDTH = 400
  const MORE = 30
  const LEAST = {
    LoadImage: [320, 370],
    LoadVideo: [320, 330],
    SaveImage: [340, 380],
    PreviewImage: [340, 380],
    SaveVideo: [340, 380],
    PreviewAny: [340, 260],
    CLIPTextEncode: [360, 150],
  }
  const made = {}

  function create(type) {
    const node = LiteGraph.createNode(type)
    if (!node) throw new Error(`There is no node ${type}.`)
    app.graph.add(node)
    return node
  }

  function set(node, name, value) {
    const widget = node.widgets?.find((one) => one.name === name)
    if (!widget) throw new Error(`${node.type} has no widget ${name}.`)
    widget.value = value
    widget.callback?.(value, app.canvas, node)
  }

  function link(node, input, [from, output]) {
    const source = made[from]
    const out = source.outputs.findIndex((one) => one.name === output)
    const into = node.inputs.findIndex((one) => one.name === input)
    if (out < 0) throw new Error(`${source.type} has no output ${output}.`)
    if (into < 0) throw new Error(`${node.type} has no input ${input}.`)
    if (!source.connect(out, node, into)) throw new Error(`${output} does not go into ${input} of ${node.type}.`)
  }

  function resize(node) {
    const [width, height] = node.computeSize()
    const least = LEAST[node.type] ?? [node.type.startsWith('RemoteUpscale') ? 340 : 300, 0]
    // In Nodes 2.0 a node takes a little more than it says.
    node.setSize([Math.ceil(Math.max(width, least[0])), Math.ceil(Math.max(height + MORE, least[1]))])
  }

  function arrange() {
    let x = NOTE_WIDTH + GAP_X
    for (const column of workflow.columns) {
      let y = 0
      for (const name of column) {
        made[name].pos = [x, y]
        y += made[name].size[1] + GAP_Y
      }
      x += Math.max(...column.map((name) => made[name].size[0])) + GAP_X
    }
  }

  function frame({ title, nodes, color }) {
    const boxes = nodes.map((name) => made[name])
    const left = Math.min(...boxes.map((one) => one.pos[0])) - PADDING
    const top = Math.min(...boxes.map((one) => one.pos[1])) - TITLE - GROUP_TITLE
    const right = Math.max(...boxes.map((one) => one.pos[0] + one.size[0])) + PADDING
    const bottom = Math.max(...boxes.map((one) => one.pos[1] + one.size[1])) + PADDING
    const group = new LiteGraph.LGraphGroup(title)
    group.color = color
    group.pos = [left, top]
    group.size = [right - left, bottom - top]
    app.graph.add(group)
  }

  // An empty graph with an id of its own: the frontend remembers widgets' values by the graph's id.
  await app.loadGraphData({
    id: crypto.randomUUID(),
    last_node_id: 0,
    last_link_id: 0,
    nodes: [],
    links: [],
    groups: [],
    config: {},
    extra: {},
    version: 0.4,
  })
  for (const [name, described] of Object.entries(workflow.nodes)) {
    const node = create(described.type)
    if (described.title) node.title = described.title
    made[name] = node
    for (const [widget, value] of Object.entries(described.widgets)) set(node, widget, value)
  }
  for (const [name, described] of Object.entries(workflow.nodes))
    for (const [input, from] of Object.entries(described.links)) link(made[name], input, from)
  Object.values(made).forEach(resize)
  arrange()
  workflow.groups.forEach(frame)

  const note = create('MarkdownNote')
  note.title = 'About this workflow'
  set(note, 'text', workflow.note)
  note.pos = [0, 0]
  note.setSize([NOTE_WIDTH, workflow.note_height])

  const { output } = await app.graphToPrompt()
  return JSON.stringify({ graph: app.graph.serialize(), prompt: output })
}
