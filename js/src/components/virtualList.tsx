/**
 * A list box that draws only the rows in view, so that ten thousand cost what twenty do. A row that leaves the view lends
 * its elements to the one that enters it: scrolling makes no elements, moves none in the page, and leaves none to be
 * collected. After a leap the rows are drawn over some frames, so that nothing else has to wait for them.
 */

import * as React from 'react';

export interface VirtualListProps<T> {
  label: string;
  items: readonly T[];
  rowHeight: number;
  keyOf: (item: T) => string | number;
  row: (item: T) => React.ReactNode;
  onOpen: (item: T) => void;
  /** The end is near: more may be read. */
  onEnd?: () => void;
}

const BEYOND = 2;
/** Rows that are drawn in one frame. */
const AT_ONCE = 8;

export function VirtualList<T>(props: VirtualListProps<T>): React.ReactElement {
  const { items, rowHeight, keyOf, onOpen, onEnd } = props;
  const box = React.useRef<HTMLDivElement>(null);
  const id = React.useId();
  // In rows: what moves by less than one draws nothing.
  const [top, setTop] = React.useState(0);
  const [fits, setFits] = React.useState(Math.ceil(600 / rowHeight));
  const [active, setActive] = React.useState<string | number | null>(null);
  const look = React.useCallback(() => {
    setTop(Math.floor((box.current?.scrollTop ?? 0) / rowHeight));
  }, [rowHeight]);
  React.useEffect(() => {
    const watching = new ResizeObserver(([entry]) => {
      setFits(Math.ceil(entry.contentRect.height / rowHeight));
      look();
    });
    if (box.current) {
      watching.observe(box.current);
    }
    return () => watching.disconnect();
  }, [look, rowHeight]);

  const slots = fits + 1 + 2 * BEYOND;
  const first = Math.max(0, top - BEYOND);
  const last = Math.min(items.length, top + fits + 1 + BEYOND);
  const rows = useRows(first, last, slots, items.length);
  const near = last >= items.length - 1;
  React.useEffect(() => {
    if (near && items.length) {
      onEnd?.();
    }
    // Asked again only when there are more of them.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [near, items.length]);

  const at = React.useMemo(
    () => (active === null ? -1 : items.findIndex(item => keyOf(item) === active)),
    [items, keyOf, active]
  );
  const go = (to: number) => {
    const next = Math.max(0, Math.min(items.length - 1, to));
    setActive(keyOf(items[next]));
    const node = box.current;
    if (node && next * rowHeight < node.scrollTop) {
      node.scrollTop = next * rowHeight;
    } else if (node && (next + 1) * rowHeight > node.scrollTop + node.clientHeight) {
      node.scrollTop = (next + 1) * rowHeight - node.clientHeight;
    }
  };
  const page = Math.max(1, fits - 2);
  const moves: Record<string, number> = {
    ArrowDown: at + 1,
    ArrowUp: at - 1,
    PageDown: at + page,
    PageUp: at - page,
    Home: 0,
    End: items.length - 1
  };
  const onKeyDown = (event: React.KeyboardEvent) => {
    if (event.key in moves && items.length) {
      event.preventDefault();
      go(moves[event.key]);
    } else if (event.key === 'Enter' && at >= 0) {
      event.preventDefault();
      onOpen(items[at]);
    }
  };

  const onClick = React.useCallback(
    (item: T) => {
      setActive(keyOf(item));
      onOpen(item);
    },
    [keyOf, onOpen]
  );

  return (
    <div
      className="cy-list"
      ref={box}
      role="listbox"
      aria-label={props.label}
      aria-activedescendant={rows.includes(at) ? `${id}-${active}` : undefined}
      tabIndex={0}
      onScroll={look}
      onKeyDown={onKeyDown}
      onFocus={() => at < 0 && items.length && setActive(keyOf(items[first]))}
    >
      <div className="cy-list-all" role="presentation" style={{ height: items.length * rowHeight }}>
        {rows.map((row, slot) => {
          const item = items[row];
          const key = keyOf(item);
          return (
            <Slot
              key={slot}
              id={`${id}-${key}`}
              item={item}
              at={row}
              of={items.length}
              height={rowHeight}
              isActive={key === active}
              row={props.row}
              onClick={onClick}
            />
          );
        })}
      </div>
    </div>
  );
}

/** The row of the `count` that each slot shows, if any; in time those from `first` up to `last`, of which no two have the
 * same slot. */
function useRows(first: number, last: number, slots: number, count: number): readonly number[] {
  const shown = React.useRef<{ rows: readonly number[]; slots: number }>({ rows: [], slots });
  const [, goOn] = React.useReducer((frame: number) => frame + 1, 0);
  const before = shown.current.slots === slots ? shown.current.rows : [];
  const rows: number[] = [];
  let left = AT_ONCE;
  for (let row = first; row < last; row++) {
    const slot = row % slots;
    if (before[slot] === row || left-- > 0) {
      rows[slot] = row;
    } else if (before[slot] < count) {
      rows[slot] = before[slot];
    }
  }
  React.useLayoutEffect(() => {
    shown.current = { rows, slots };
    const frame = left < 0 ? requestAnimationFrame(goOn) : 0;
    return () => cancelAnimationFrame(frame);
  });
  return rows;
}

interface SlotProps<T> {
  id: string;
  item: T;
  at: number;
  of: number;
  height: number;
  isActive: boolean;
  row: (item: T) => React.ReactNode;
  onClick: (item: T) => void;
}

/** One row's elements. Drawn again only when there is something else to show. */
const Slot = React.memo(function Slot<T>(props: SlotProps<T>): React.ReactElement {
  const { id, item, at, of, height, isActive } = props;
  return (
    <div
      id={id}
      className={`cy-list-row${isActive ? ' cy-active' : ''}`}
      role="option"
      aria-selected={isActive}
      aria-posinset={at + 1}
      aria-setsize={of}
      style={{ height, top: at * height }}
      onClick={() => props.onClick(item)}
    >
      {props.row(item)}
    </div>
  );
}) as <T>(props: SlotProps<T>) => React.ReactElement;
