/** A pipeline's parameters with their types and defaults, and other values for them. */

import * as React from 'react';

import type { Parameter } from '../wire';

/** Values by name, as text; what is empty is as the notebook has it. */
export type Given = Readonly<Record<string, string>>;

export interface ParameterTableProps {
  parameters: readonly Pick<Parameter, 'name' | 'type' | 'default'>[];
  given: Given;
  onChange: (given: Given) => void;
}

/** What a text of each type looks like; other types are literals of Python, which the engine reads. */
const LOOKS: Record<string, RegExp> = {
  int: /^\s*[-+]?\d[\d_]*\s*$/,
  float: /^\s*[-+]?((\d[\d_]*\.?|\.\d)[\d_]*(e[-+]?\d+)?|inf(inity)?|nan)\s*$/i,
  bool: /^(true|false|yes|no|on|off|1|0)$/i
};

export function ParameterTable({ parameters, given, onChange }: ParameterTableProps): React.ReactElement {
  return (
    <table className="cy-table cy-parameters">
      <caption>Parameters</caption>
      <thead>
        <tr>
          <th scope="col">Name</th>
          <th scope="col">Type</th>
          <th scope="col">Value</th>
        </tr>
      </thead>
      <tbody>
        {parameters.map(({ name, type, default: before }) => {
          const value = given[name] ?? '';
          const isWrong = value !== '' && LOOKS[type] !== undefined && !LOOKS[type].test(value);
          return (
            <tr key={name}>
              <td>
                <code>{name}</code>
              </td>
              <td>{type}</td>
              <td>
                <input
                  className="jp-mod-styled cy-input"
                  aria-label={`Value of ${name}`}
                  aria-invalid={isWrong}
                  placeholder={before}
                  value={value}
                  onChange={event => onChange({ ...given, [name]: event.target.value })}
                />
                {isWrong ? (
                  <p className="cy-error" role="alert">
                    It is to be of type {type}, as {before} is.
                  </p>
                ) : null}
              </td>
            </tr>
          );
        })}
      </tbody>
    </table>
  );
}

/** Those that have a value of their own. */
export function changed(given: Given): [string, string][] {
  return Object.entries(given).filter(([, value]) => value !== '');
}
