/** A form for when and with what a schedule runs. */

import { type Dialog, ReactWidget } from '@jupyterlab/apputils';
import * as React from 'react';

import type { Api } from '../api';
import type { Schedule } from '../wire';
import { CronField } from './cronField';
import { FormDialog } from './formDialog';
import { changed, Given, ParameterTable } from './parameterTable';

interface Asked {
  expression: string;
  timezone: string;
  given: Given;
}

interface ScheduleFormProps {
  api: Api;
  schedule: Schedule;
  asked: Asked;
  onChange: (asked: Asked) => void;
}

function ScheduleForm({ api, schedule, asked: first, onChange }: ScheduleFormProps): React.ReactElement {
  const [asked, setAsked] = React.useState(first);
  const change = (part: Partial<Asked>) => {
    const next = { ...asked, ...part };
    setAsked(next);
    onChange(next);
  };
  return (
    <div className="cy-form">
      <CronField
        api={api}
        expression={asked.expression}
        timezone={asked.timezone}
        onChange={(expression, timezone) => change({ expression, timezone })}
        needed={schedule.on_change.length ? undefined : 'When? Without a time it would never run.'}
      />
      {schedule.takes?.length ? (
        <ParameterTable
          parameters={schedule.takes}
          given={asked.given}
          onChange={given => change({ given })}
        />
      ) : null}
    </div>
  );
}

class ScheduleBody extends ReactWidget implements Dialog.IBodyWidget<Asked> {
  private asked: Asked;

  constructor(
    private readonly api: Api,
    private readonly schedule: Schedule
  ) {
    super();
    this.asked = {
      expression: schedule.expression ?? '',
      timezone: schedule.timezone,
      given: Object.fromEntries(
        Object.entries(schedule.parameters).map(([name, value]) => [name, text(value)])
      )
    };
  }

  getValue(): Asked {
    return this.asked;
  }

  protected override render(): React.ReactElement {
    const onChange = (asked: Asked) => {
      this.asked = asked;
    };
    return <ScheduleForm api={this.api} schedule={this.schedule} asked={this.asked} onChange={onChange} />;
  }
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}

/** Change a schedule as its user wants it; resolves when that is done, or they leave it as it is. */
export async function editSchedule(api: Api, name: string): Promise<void> {
  const schedule = await api.wholeSchedule(name);
  const form = {
    title: `Edit the schedule ${name}`,
    body: new ScheduleBody(api, schedule),
    accept: 'Apply'
  };
  const change = ({ expression, timezone, given }: Asked) =>
    api.changeSchedule(name, {
      expression: expression.trim() || null,
      timezone: expression.trim() ? timezone || null : null,
      parameters: Object.fromEntries(changed(given))
    });
  await new FormDialog(form, change).launch();
}
