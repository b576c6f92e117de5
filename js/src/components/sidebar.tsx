/** The sidebar: tabs, and above them whether what they show is live. It composes; it does not compute. */

import * as React from 'react';

import type { Connection } from '../connection';
import { Banner } from './banner';
import { Guard } from './guard';
import { useSignal } from './hooks';

export interface SidebarTab {
  id: string;
  label: string;
  draw: (isLive: boolean) => React.ReactElement;
}

export interface SidebarProps {
  connection: Connection;
  tabs: readonly SidebarTab[];
}

export function Sidebar({ connection, tabs }: SidebarProps): React.ReactElement {
  useSignal(connection.changed);
  const id = React.useId();
  const [chosen, choose] = React.useState(tabs[0].id);
  const at = tabs.findIndex(tab => tab.id === chosen);
  const isLive = connection.liveness === 'live';
  const onKeyDown = (event: React.KeyboardEvent) => {
    const move = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (move) {
      const next = (at + move + tabs.length) % tabs.length;
      choose(tabs[next].id);
      event.currentTarget.querySelectorAll<HTMLElement>('[role=tab]')[next].focus();
    }
  };
  return (
    <div className={`cy-sidebar${isLive ? '' : ' cy-old'}`} data-liveness={connection.liveness}>
      <div className="cy-tabs" role="tablist" aria-label="cellyard" onKeyDown={onKeyDown}>
        {tabs.map(tab => (
          <button
            key={tab.id}
            id={`${id}-${tab.id}`}
            role="tab"
            aria-selected={tab.id === chosen}
            aria-controls={`${id}-panel`}
            tabIndex={tab.id === chosen ? 0 : -1}
            onClick={() => choose(tab.id)}
          >
            {tab.label}
          </button>
        ))}
      </div>
      <Banner connection={connection} />
      <div className="cy-panel" role="tabpanel" id={`${id}-panel`} aria-labelledby={`${id}-${chosen}`}>
        <Guard key={chosen}>{() => tabs[at].draw(isLive)}</Guard>
      </div>
    </div>
  );
}
