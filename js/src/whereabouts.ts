/** Whereabouts: the engine hears which notebook a kernel has, and of notebooks that are renamed or moved. */

import type { Contents, Session } from '@jupyterlab/services';

import type { Connection } from './connection';

interface Moved {
  before: string;
  now: string;
}

export class Whereabouts {
  /** What was renamed and the engine has not heard of yet. */
  private waiting: Moved[] = [];
  private readonly told = new Map<string, string>();

  constructor(
    private readonly connection: Connection,
    private readonly contents: Contents.IManager,
    private readonly sessions: Session.IManager,
    /** Whether an engine is to be started for what was there, because steps belong to it. */
    private readonly isWorthStarting: (path: string) => boolean
  ) {
    contents.fileChanged.connect(this.onFile, this);
    connection.connected.connect(() => void this.tellMoves(false));
  }

  /** A path as the engine knows it: the whole one. */
  whole(path: string): string {
    return [this.connection.rootFolder, this.contents.localPath(path)].filter(Boolean).join('/');
  }

  /** The engine knows where the notebook of this session is, once this resolves: its kernel knows what it was called
   * when the kernel was started, and no later name. */
  async tell(session: Session.ISessionConnection | null, path: string): Promise<void> {
    await this.tellMoves(false);
    const kernel = session?.kernel?.id;
    const notebook = this.whole(path);
    if (!kernel || !this.connection.root || this.told.get(kernel) === notebook || this.isShared(session)) {
      return;
    }
    await this.connection.api.notebookMoved({ notebook, kernel }, false);
    this.told.set(kernel, notebook);
  }

  /** A kernel that two notebooks have is neither's alone. */
  private isShared({ id, kernel }: Session.ISessionConnection): boolean {
    return [...this.sessions.running()].some(
      other => other.id !== id && other.type === 'notebook' && other.kernel?.id === kernel?.id
    );
  }

  private onFile(_: unknown, { type, oldValue, newValue }: Contents.IChangedArgs): void {
    if (type === 'rename' && oldValue?.path && newValue?.path) {
      this.waiting.push({ before: oldValue.path, now: newValue.path });
      void this.tellMoves(this.isWorthStarting(newValue.path) || this.isWorthStarting(oldValue.path));
    }
  }

  private async tellMoves(starts: boolean): Promise<void> {
    const moves = this.waiting;
    if (!moves.length || !this.connection.root || (!starts && this.connection.liveness !== 'live')) {
      return;
    }
    this.waiting = [];
    try {
      for (; moves.length; moves.shift()) {
        const [notebook, before] = [this.whole(moves[0].now), this.whole(moves[0].before)];
        await this.connection.api.notebookMoved({ notebook, before }, starts);
      }
    } catch {
      // Told when there is a connection again.
      this.waiting = [...moves, ...this.waiting];
    }
  }
}
