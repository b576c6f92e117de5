/** What cannot be drawn is said in its own place, and takes nothing beside it along. It is tried again now and then. */

import * as React from 'react';

import { words } from '../format';

interface GuardProps {
  children: () => React.ReactElement;
}

interface GuardState {
  error: string;
}

const AGAIN = 3000;

export class Guard extends React.Component<GuardProps, GuardState> {
  private timer = 0;
  override state: GuardState = { error: '' };

  static getDerivedStateFromError(error: unknown): GuardState {
    return { error: words(error) };
  }

  override componentDidCatch(): void {
    this.timer = window.setTimeout(() => this.setState({ error: '' }), AGAIN);
  }

  override componentWillUnmount(): void {
    window.clearTimeout(this.timer);
  }

  override render(): React.ReactNode {
    return this.state.error ? (
      <p className="cy-empty" role="alert">
        This cannot be shown: {this.state.error}. It is tried again every few seconds.
      </p>
    ) : (
      <Drawn>{this.props.children}</Drawn>
    );
  }
}

function Drawn({ children }: GuardProps): React.ReactElement {
  return children();
}
