/** Where the boxes and lines of a graph stand. Its library is loaded when a graph is first drawn. */

export interface GraphNode {
  id: string;
  after: readonly string[];
}

export interface Point {
  x: number;
  y: number;
}

export interface Layout {
  width: number;
  height: number;
  nodes: ReadonlyMap<string, Point>;
  edges: readonly { from: string; to: string; points: readonly Point[] }[];
}

export const BOX = { width: 152, height: 46 };

/** Lay out from top to bottom; a point of a node is its centre. */
export async function layOut(nodes: readonly GraphNode[]): Promise<Layout> {
  const { Graph, layout } = await import('@dagrejs/dagre');
  const graph = new Graph();
  // The exact ranking of hundreds of boxes takes seconds; this one takes none and looks the same in pipelines.
  graph.setGraph({ rankdir: 'TB', nodesep: 18, ranksep: 34, marginx: 4, marginy: 8, ranker: 'longest-path' });
  graph.setDefaultEdgeLabel(() => ({}));
  const known = new Set(nodes.map(node => node.id));
  nodes.forEach(node => graph.setNode(node.id, { ...BOX }));
  nodes.forEach(node => node.after.filter(id => known.has(id)).forEach(id => graph.setEdge(id, node.id)));
  const linked = new Set(graph.edges().flatMap(edge => [edge.v, edge.w]));
  // What is linked with nothing stands where the notebook has it: below the one before.
  const held = nodes.slice(1).flatMap((node, at) => (linked.has(node.id) ? [] : [[nodes[at].id, node.id]]));
  held.forEach(([from, to]) => graph.setEdge(from, to, { unseen: true }));
  layout(graph);
  const about = graph.graph() as { width?: number; height?: number };
  return {
    width: about.width ?? 0,
    height: about.height ?? 0,
    nodes: new Map(nodes.map(node => [node.id, at(graph.node(node.id) as Point)])),
    edges: graph.edges().flatMap(edge => {
      const { points, unseen } = graph.edge(edge) as { points?: Point[]; unseen?: boolean };
      return unseen ? [] : [{ from: edge.v, to: edge.w, points: (points ?? []).map(at) }];
    })
  };
}

function at({ x, y }: Point): Point {
  return { x, y };
}
