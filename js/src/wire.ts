/** The JSON of the engine's API, as Python writes it. */

export type State = 'queued' | 'running' | 'succeeded' | 'failed' | 'cancelled' | 'lost';

export interface Resources {
  cpu: number;
  memory: number | null;
  gpu: number;
}

/** What steps may have together; null where there is no limit. */
export interface Capacity {
  cpu: number | null;
  memory: number | null;
  gpu: number | null;
}

export interface StepName {
  name: string;
  state: State;
}

export interface Failure {
  type?: string;
  message?: string;
  traceback?: string[];
  hint?: string;
}

export interface Run {
  id: number;
  kind: string;
  notebook: string;
  session: string;
  state: State;
  created: number;
  started: number | null;
  finished: number | null;
  seconds: number | null;
  error: Failure | null;
  name: string | null;
  owner: string | null;
  commit: string | null;
  tags: string[];
  parameters: Record<string, unknown>;
  metrics: Record<string, number | string>;
  steps?: StepName[];
}

export interface Preview {
  type: string;
  shape: string;
  text: string;
  html: string;
}

export interface Reference {
  id: string;
  names: string[];
  size: number;
  previews: Record<string, Preview>;
}

export interface Step {
  id: number;
  run_id: number;
  name: string;
  position: number;
  state: State;
  source: string;
  raw_line: string;
  cell_id: string | null;
  execution_count: number;
  resources: Resources;
  inputs: Reference[];
  outputs: Reference[];
  created: number;
  /** When the newest attempt had a worker, or one was begun for it: from then on it starts. */
  given: number | null;
  attempt: number;
  token: string | null;
  started: number | null;
  finished: number | null;
  seconds: number | null;
  error: Failure | null;
  peak_memory: number | null;
  cpu_seconds: number | null;
  worker: string | null;
  /** The run whose result it has taken instead of running. */
  reused: number | null;
}

export interface Attempt {
  id: number;
  number: number;
  state: State;
  created: number;
  started: number | null;
  finished: number | null;
  seconds: number | null;
  worker: string | null;
  peak_memory: number | null;
  error: Failure | null;
}

export interface EngineEvent {
  seq: number;
  run: number;
  step: string | null;
  step_id: number | null;
  attempt: number | null;
  time: number;
  kind: string;
  content: Record<string, unknown>;
}

export interface EngineFacts {
  version: string;
  pid: number;
  store: string;
  records: string;
  capacity: Resources;
  state: string;
  running: number;
  seq: number;
}

export interface Status {
  version: string;
  engine: EngineFacts | null;
  root: string | null;
}

export interface LiveStep {
  run: number;
  step_id: number;
  name: string;
  notebook: string;
  attempt: number;
  token: string;
  resources: Resources;
  began: number | null;
  worker: string | null;
  peak_memory: number;
}

export interface Place {
  name: string;
  place: string;
  capacity: Capacity;
  default: boolean;
  /** Null where there is no such limit. */
  most_workers: number | null;
  /** Seconds after which a worker without work is let go. */
  idle: number | null;
  workers: WorkerSeen[];
  /** The command that leads to Dask's dashboard; empty where it has none. */
  dashboard: string;
  steps: LiveStep[];
}

export interface WorkerSeen {
  name: string;
  state: 'starting' | 'idle' | 'busy';
  resources: Resources;
  /** What keeps it from starting. */
  note: string;
}

export interface StepOption {
  flag: string;
  metavar: string | null;
  help: string;
  example: string;
  values: string[];
  repeats: boolean;
}

export interface PipelineStep {
  name: string;
  cell: number;
  cell_id: string | null;
  line: string;
  raw_line: string;
  resources: Resources;
  /** False: a plain cell that runs as a step, because steps need what it makes. */
  marked: boolean;
  reads: string[];
  writes: string[];
}

export interface Edge {
  from: string;
  to: string;
  names: string[];
  why: string;
}

export interface Parameter {
  name: string;
  type: string;
  default: string;
  cell: number;
}

export interface Problem {
  cell: number;
  line: number;
  message: string;
  hint: string;
  level: 'error' | 'warning';
}

export interface Pipeline {
  steps: PipelineStep[];
  edges: Edge[];
  parameters: Parameter[];
  problems: Problem[];
}

export interface Sample {
  seconds: number;
  bytes: number;
  cpu: number;
}

export interface Samples {
  limit: number | null;
  peak: number;
  samples: Sample[];
}

/** A size to ask for, by what earlier runs used. */
export interface Proposal {
  memory: number | null;
  cpu: number | null;
  because: string;
}

export interface Cost {
  amount: number;
  prices: { currency?: string };
  steps: { step_id: number; amount: number }[];
}

/** Whether a step would run now or an earlier result would be taken. */
export interface Decision {
  name: string;
  action: string;
  because: string;
  run: number | null;
}

export interface Exporter {
  name: string;
  title: string;
  /** Whether a schedule is a part of what is written. */
  keeps_time: boolean;
  /** Whether that is a bundle: it can be locked and proven, and this machine's engine can run it at its times. */
  writes_bundle: boolean;
  /** What keeps it from being used here. */
  problem: string;
}

export interface CronWords {
  words: string;
  next: string[];
}

export interface ExportWanted {
  path: string;
  output: string;
  to: string;
  /** Those of `cellyard export`, without their dashes. */
  options: Record<string, string | boolean | null | string[]>;
}

/** What the export has said; `code` 0: it went well. */
export interface Exported {
  code: number;
  said: string;
  problem: string;
  files: string[];
  proof: Proof | null;
}

/** How the values of the export compare with the notebook's. */
export interface Proof {
  holds: boolean;
  problem: string;
  comparisons: { step: string; role: string; name: string; verdict: string; detail: string }[];
}

export interface Schedule {
  name: string;
  notebook?: string;
  expression: string | null;
  timezone: string;
  on_change: string[];
  state: string;
  next: string[];
  last: Firing | null;
  parameters: Record<string, unknown>;
  /** Of one that was asked for by its name: what its bundle takes. */
  takes?: Omit<Parameter, 'cell'>[];
}

/** One time that a schedule came. */
export interface Firing {
  id: number;
  state: string;
  cause: string;
  note: string;
  due: number;
  run_id: number | null;
}

/** What of a schedule can be changed. */
export interface ScheduleChange {
  expression: string | null;
  timezone: string | null;
  parameters: Record<string, unknown>;
}

/** States that nothing leaves. */
export const ENDED: ReadonlySet<string> = new Set(['succeeded', 'failed', 'cancelled', 'lost']);
