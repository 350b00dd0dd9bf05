-- What staff call when something did not run; private.redrive_event() and redrive_job() do it.

create function public.redrive_webhook_event(
  p_event_id text,
  p_dry_run boolean default false,
  p_command_id uuid default null
) returns jsonb
language sql
set search_path = ''
as $$
  select private.submit_command(
    'redrive_webhook_event',
    jsonb_build_object('event_id', p_event_id),
    p_dry_run, p_command_id
  )
$$;
comment on function public.redrive_webhook_event(text, boolean, uuid) is
  'Queues a webhook event again, whatever became of it: it is translated anew and its facts merged. Staff '
  'only.';
grant execute on function public.redrive_webhook_event(text, boolean, uuid) to authenticated, service_role;

create function public.redrive_job(
  p_job_id bigint,
  p_dry_run boolean default false,
  p_command_id uuid default null
) returns jsonb
language sql
set search_path = ''
as $$
  select private.submit_command(
    'redrive_job',
    jsonb_build_object('job_id', p_job_id),
    p_dry_run, p_command_id
  )
$$;
comment on function public.redrive_job(bigint, boolean, uuid) is
  'Queues a job again that was given up. Staff only.';
grant execute on function public.redrive_job(bigint, boolean, uuid) to authenticated, service_role;
