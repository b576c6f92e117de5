/** The engine's API through the Jupyter server. The only file that fetches. */

import { URLExt } from '@jupyterlab/coreutils';
import { ServerConnection } from '@jupyterlab/services';

import { EventParser } from './eventParser';
import { words } from './format';
import type {
  Attempt,
  Cost,
  CronWords,
  Decision,
  EngineEvent,
  EngineFacts,
  Exported,
  Exporter,
  Firing,
  ExportWanted,
  Pipeline,
  Place,
  Proposal,
  Run,
  Samples,
  Schedule,
  ScheduleChange,
  Status,
  Step,
  StepOption
} from './wire';

/** What the engine or the server refused. `kind` is the error's class; `status` 0 means that nobody answered. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly kind: string,
    message: string
  ) {
    super(message);
  }
}

/** Milliseconds without a byte after which a stream counts as broken; the engine gives signs of life. */
const SILENCE = 25_000;
/** Milliseconds after which an engine that is being started counts as not to be had; the server itself gives up sooner. */
const STARTING = 40_000;
/** Milliseconds for work that may take long: to plan a notebook, to begin a run. */
const WORKING = 180_000;

type Query = Record<string, string | number | undefined>;

export class Api {
  constructor(private readonly settings: ServerConnection.ISettings) {}

  /** Whether an engine runs, and where the server's files are. Starts nothing. */
  async status(): Promise<Status> {
    return this.asked('status', { method: 'GET' });
  }

  /** What the engine says of itself; starts one where none runs. */
  start(): Promise<EngineFacts> {
    return this.asked('api/v1/engine', { method: 'GET' }, STARTING);
  }

  async runs(query: Query): Promise<Run[]> {
    return (await this.get<{ runs: Run[] }>('runs', query)).runs;
  }

  run(run: number): Promise<Run> {
    return this.get(`runs/${run}`);
  }

  async steps(run: number): Promise<Step[]> {
    return (await this.get<{ steps: Step[] }>(`runs/${run}/steps`)).steps;
  }

  async attempts(run: number, step: number): Promise<Attempt[]> {
    return (await this.get<{ attempts: Attempt[] }>(`runs/${run}/steps/${step}/attempts`)).attempts;
  }

  /** Of each cell that has run, the newest step of each name; the newest first. */
  async notebookSteps(notebook: string): Promise<Step[]> {
    return (await this.get<{ steps: Step[] }>('notebooks/steps', { notebook, by_cell: 1 })).steps.reverse();
  }

  /** What a notebook was called before, or which kernel it has: its records follow, and what the kernel runs. */
  async notebookMoved(
    moved: { notebook: string; before?: string; kernel?: string },
    starts: boolean
  ): Promise<void> {
    await this.post('notebooks/moved', moved, starts ? {} : { start: 0 });
  }

  async places(): Promise<Place[]> {
    return (await this.get<{ places: Place[] }>('workers')).places;
  }

  async options(): Promise<StepOption[]> {
    return (await this.get<{ options: StepOption[] }>('step-options')).options;
  }

  pipeline(notebook: unknown): Promise<Pipeline> {
    return this.post('pipelines', { notebook }, { start: 0 });
  }

  samples(run: number, step: string): Promise<Samples> {
    return this.get(`runs/${run}/steps/${encodeURIComponent(step)}/samples`);
  }

  cost(run: number): Promise<Cost> {
    return this.get(`runs/${run}/cost`);
  }

  /** Sizes to ask for, by step. */
  async proposals(notebook: string, name: string): Promise<Map<string, Proposal>> {
    const found = await this.get<{ steps: { name: string; proposal: Proposal }[] }>('notebooks/sizes', {
      notebook,
      name
    });
    return new Map(found.steps.map(step => [step.name, step.proposal]));
  }

  /** What a run of the notebook would do, step by step. */
  async plan(path: string): Promise<Decision[]> {
    return (await this.post<{ steps: Decision[] }>('plans', { path })).steps;
  }

  /** Run a notebook's pipeline in the background. */
  runPipeline(path: string, from: string[] = []): Promise<Run> {
    return this.post('pipeline-runs', { path, from });
  }

  /** Go on where a run has stopped, in a new run. */
  resume(run: number): Promise<Run> {
    return this.post(`runs/${run}/resume`);
  }

  async exporters(): Promise<Exporter[]> {
    return (await this.get<{ exporters: Exporter[] }>('exporters')).exporters;
  }

  cron(expression: string, timezone: string): Promise<CronWords> {
    return this.post('cron', { expression, timezone: timezone || null }, { start: 0 });
  }

  /** Export a notebook; `said` hears each line as it is printed. Whoever aborts stops it. */
  async exportTo(wanted: ExportWanted, said: (line: string) => void, signal: AbortSignal): Promise<Exported> {
    const init = { method: 'POST', body: JSON.stringify(wanted), signal };
    const answer = await this.opened('api/v1/export-jobs', init, STARTING);
    for await (const line of lines(answer)) {
      const { said: words, result } = JSON.parse(line) as { said?: string; result?: Exported };
      if (result) {
        return result;
      }
      said(words ?? '');
    }
    throw new ApiError(0, 'Unreachable', 'The connection broke before it had ended.');
  }

  schedules(): Promise<{ schedules: Schedule[]; notes: string[] }> {
    return this.get('schedules');
  }

  /** Make a schedule; or with `replace` have the one of that name run this, and keep what is null. */
  schedule(wanted: {
    path: string;
    name: string;
    expression: string | null;
    timezone: string | null;
    parameters: Record<string, string> | null;
    replace: boolean;
  }): Promise<Schedule> {
    return this.post('schedules', wanted);
  }

  async pauseSchedule(name: string, isPaused: boolean): Promise<void> {
    await this.patch(`schedules/${encodeURIComponent(name)}`, { state: isPaused ? 'paused' : 'active' });
  }

  /** One schedule, with what its bundle takes. */
  wholeSchedule(name: string): Promise<Schedule> {
    return this.get(`schedules/${encodeURIComponent(name)}`);
  }

  async changeSchedule(name: string, changes: ScheduleChange): Promise<void> {
    await this.patch(`schedules/${encodeURIComponent(name)}`, changes);
  }

  /** The times that a schedule came, the newest first. */
  async firings(name: string): Promise<Firing[]> {
    const path = `schedules/${encodeURIComponent(name)}/history`;
    return (await this.get<{ firings: Firing[] }>(path)).firings;
  }

  async removeSchedule(name: string): Promise<void> {
    await this.remove(`schedules/${encodeURIComponent(name)}`);
  }

  async runSchedule(name: string): Promise<void> {
    await this.post(`schedules/${encodeURIComponent(name)}/run-now`);
  }

  /** Resolves when the line is a good one; rejects with what is wrong with it. */
  async checkLine(line: string): Promise<void> {
    await this.post('step-line', { line }, { start: 0 });
  }

  async cancelRun(run: number): Promise<void> {
    await this.post(`runs/${run}/cancel`);
  }

  async cancelStep(token: string): Promise<void> {
    await this.post(`steps/${encodeURIComponent(token)}/cancel`);
  }

  async interruptStep(token: string): Promise<void> {
    await this.post(`steps/${encodeURIComponent(token)}/interrupt`);
  }

  /**
   * Follow a stream of events. Resolves with true at the stream's own end, with false when it broke off;
   * rejects when it could not be opened. Never starts an engine.
   */
  async follow(path: string, query: Query, reader: StreamReader): Promise<boolean> {
    const target = `api/v1/${path}${search({ ...query, start: 0 })}`;
    const { signal } = reader;
    const answer = await this.opened(target, { method: 'GET', signal, cache: 'no-store' }, SILENCE);
    reader.opened?.();
    const parser = new EventParser(reader.event);
    for await (const text of pieces(answer)) {
      if (parser.feed(text)) {
        return true;
      }
    }
    return false;
  }

  /** Looking starts no engine: one that somebody has stopped would never stay so. */
  async get<T>(path: string, query: Query = {}): Promise<T> {
    const target = `api/v1/${path}${search({ ...query, start: 0 })}`;
    return this.asked(target, { method: 'GET' });
  }

  post<T>(path: string, body: unknown = {}, query: Query = {}): Promise<T> {
    return this.call(`api/v1/${path}${search(query)}`, 'POST', body);
  }

  patch<T>(path: string, body: unknown): Promise<T> {
    return this.call(`api/v1/${path}`, 'PATCH', body);
  }

  remove<T>(path: string): Promise<T> {
    return this.call(`api/v1/${path}`, 'DELETE');
  }

  private call<T>(target: string, method: string, body?: unknown): Promise<T> {
    return this.asked(target, { method, body: body === undefined ? null : JSON.stringify(body) }, WORKING);
  }

  /** What is answered, if the whole of it comes in time. */
  private async asked<T>(target: string, init: RequestInit, most = SILENCE): Promise<T> {
    return this.inTime(most, async late => {
      const answer = await this.request(target, { ...init, cache: 'no-store', signal: late });
      if (!answer.ok) {
        throw await refused(answer);
      }
      return (await answer.json()) as T;
    });
  }

  /** An answer that goes on for as long as it likes, if it begins in time. */
  private opened(target: string, init: RequestInit, most: number): Promise<Response> {
    return this.inTime(most, async late => {
      const signal = init.signal ? AbortSignal.any([init.signal, late]) : late;
      const answer = await this.request(target, { ...init, signal });
      if (!answer.ok) {
        throw await refused(answer);
      }
      return answer;
    });
  }

  /** A lost connection may never say that it is: what is not done in time is aborted, and rejects. */
  private async inTime<T>(most: number, work: (late: AbortSignal) => Promise<T>): Promise<T> {
    const late = new AbortController();
    const timer = window.setTimeout(() => late.abort(), most);
    try {
      return await work(late.signal);
    } catch (error) {
      throw late.signal.aborted ? new ApiError(0, 'Late', `No answer within ${most / 1000} s.`) : error;
    } finally {
      window.clearTimeout(timer);
    }
  }

  private async request(target: string, init: RequestInit): Promise<Response> {
    const url = URLExt.join(this.settings.baseUrl, 'cellyard', target);
    try {
      return await ServerConnection.makeRequest(url, init, this.settings);
    } catch (error) {
      throw new ApiError(0, 'Unreachable', `There is no connection to the Jupyter server (${words(error)}).`);
    }
  }
}

export interface StreamReader {
  event: (event: EngineEvent) => void;
  opened?: () => void;
  signal?: AbortSignal;
}

type Piece = ReadableStreamReadResult<Uint8Array>;

/** An answer's text as it comes, until it ends, or breaks off, or nothing was heard for too long. */
async function* pieces(answer: Response): AsyncGenerator<string> {
  const source = answer.body?.getReader();
  const text = new TextDecoder();
  try {
    for (;;) {
      const piece = source ? await heard(source) : null;
      if (piece === null || piece.done) {
        return;
      }
      yield text.decode(piece.value, { stream: true });
    }
  } finally {
    await source?.cancel().catch(() => undefined);
  }
}

/** The lines of an answer that are not empty, as they come. */
async function* lines(answer: Response): AsyncGenerator<string> {
  let begun = '';
  for await (const text of pieces(answer)) {
    const found = (begun + text).split('\n');
    begun = found.pop() ?? '';
    yield* found.filter(Boolean);
  }
}

/** The next piece; null when the connection broke or nothing was heard for too long. */
async function heard(source: ReadableStreamDefaultReader<Uint8Array>): Promise<Piece | null> {
  let timer = 0;
  const silent = new Promise<null>(resolve => {
    timer = window.setTimeout(() => resolve(null), SILENCE);
  });
  try {
    return await Promise.race([source.read(), silent]);
  } catch {
    return null;
  } finally {
    window.clearTimeout(timer);
  }
}

async function refused(answer: Response): Promise<ApiError> {
  try {
    const data = (await answer.json()) as { error?: string; message?: string };
    return new ApiError(answer.status, data.error ?? 'Error', data.message ?? answer.statusText);
  } catch {
    return new ApiError(answer.status, 'Error', answer.statusText || `status ${answer.status}`);
  }
}

function search(query: Query): string {
  const given = Object.entries(query).filter(([, value]) => value !== undefined && value !== '');
  return given.length
    ? '?' + new URLSearchParams(given.map(([key, value]) => [key, String(value)])).toString()
    : '';
}
