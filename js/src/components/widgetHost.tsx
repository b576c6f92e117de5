/** A place inside React for a widget of JupyterLab. */

import { MessageLoop } from '@lumino/messaging';
import { Widget } from '@lumino/widgets';
import * as React from 'react';

export interface WidgetHostProps {
  /** Makes the widget; it is disposed of with the component. */
  make: () => Widget;
}

export function WidgetHost({ make }: WidgetHostProps): React.ReactElement {
  const place = React.useRef<HTMLDivElement>(null);
  React.useEffect(() => {
    const node = place.current;
    if (!node) {
      return;
    }
    const widget = make();
    MessageLoop.sendMessage(widget, Widget.Msg.BeforeAttach);
    node.appendChild(widget.node);
    MessageLoop.sendMessage(widget, Widget.Msg.AfterAttach);
    return () => {
      MessageLoop.sendMessage(widget, Widget.Msg.BeforeDetach);
      widget.node.remove();
      MessageLoop.sendMessage(widget, Widget.Msg.AfterDetach);
      widget.dispose();
    };
  }, [make]);
  return <div className="cy-host" ref={place} />;
}
