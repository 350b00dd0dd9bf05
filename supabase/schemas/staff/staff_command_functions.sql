-- Running a command as its row is written, and the functions that staff call.

create function private.command_outcome(p_order_id uuid) returns jsonb
language plpgsql
stable
set search_path = ''
as $$
begin
  -- What this transaction has written carries its time.
  return coalesce((
    select jsonb_build_object(
      'status', o.status, 'fulfillment_status', o.fulfillment_status,
      'mails', (
        select coalesce(jsonb_agg(n.template order by n.template), '[]')
        from public.notifications n where n.order_id = o.id and n.created_at = now()
      ),
      'stock', (
        select coalesce(jsonb_agg(jsonb_build_object('sku', v.sku, 'change', j.change) order by j.id), '[]')
        from public.inventory_journal j join public.product_variants v on v.id = j.variant_id
        where j.order_id = o.id and j.created_at = now()
      )
    )
    from public.orders o where o.id = p_order_id
  ), '{}');
end;
$$;
comment on function private.command_outcome(uuid) is
  'What a command has done to its order: { status, fulfillment_status, mails (queued), stock: [{ sku, change '
  '}] }; {} without an order.';

create function private.run_order_command(p_id uuid, p_command text, p_args jsonb) returns jsonb
language plpgsql
set search_path = ''
as $$
begin
  case p_command
    when 'request_refund' then return private.run_request_refund(p_id, p_args);
    when 'assign_refund' then return private.run_assign_refund(p_args);
    when 'announce_return' then return private.run_announce_return(p_args);
    when 'receive_return' then return private.run_receive_return(p_args);
    when 'close_return' then return private.run_close_return(p_args);
    when 'mark_fulfilled' then return private.run_mark_fulfilled(p_id, p_args);
    when 'correct_shipment' then return private.run_correct_shipment(p_id, p_args);
    when 'cancel_order' then perform private.run_cancel_order(p_args);
    when 'release_review' then perform private.run_release_review(p_args);
    when 'resend_notification' then perform private.run_resend_notification(p_id, p_args);
    else return null;
  end case;
  return '{}';
end;
$$;
comment on function private.run_order_command(uuid, text, jsonb) is
  'Carries out a command about an order, and returns what it answers; null: it is about something else.';

create function private.run_shop_command(p_id uuid, p_command text, p_args jsonb) returns jsonb
language plpgsql
set search_path = ''
as $$
begin
  case p_command
    when 'redrive_webhook_event' then perform private.redrive_event(p_args ->> 'event_id');
    when 'redrive_job' then perform private.redrive_job((p_args ->> 'job_id')::bigint);
    when 'erase_customer' then return private.run_erase_customer(p_id, p_args);
    when 'adjust_inventory' then return private.run_adjust_inventory(p_args);
    when 'count_inventory' then
      return private.run_count_inventory('count', p_args -> 'counts', p_args ->> 'note');
    when 'import_inventory' then
      return private.run_count_inventory(
        'import', private.parse_csv_counts(p_args ->> 'csv'), p_args ->> 'note'
      );
    when 'add_product' then return private.run_add_product(p_args);
    when 'add_variant' then perform private.run_add_variant(p_args);
    when 'set_price' then return private.run_set_price(p_args);
    when 'acknowledge_alert' then return private.run_settle_alert('acknowledged', p_args);
    when 'resolve_alert' then return private.run_settle_alert('resolved', p_args);
    when 'lift_mail_suppression' then perform private.run_lift_mail_suppression(p_id, p_args);
    -- Nothing to carry out: the row says who asked.
    when 'export_person' then null;
  end case;
  return '{}';
end;
$$;
comment on function private.run_shop_command(uuid, text, jsonb) is
  'Carries out a command that is about no order, and returns what it answers.';

create function private.run_staff_command() returns trigger
language plpgsql
security definer
set search_path = ''
as $$
declare
  v_order_id uuid;
  v_answer jsonb;
begin
  -- Not before the insert: what the policies refuse is not told what a command understands.
  new.args := private.clean_staff_args(new.command, new.args);
  update public.staff_commands c set args = new.args where c.id = new.id and c.args <> new.args;
  perform set_config('kct.actor', new.actor, true);
  case new.command
    when 'submit_dispute_evidence' then v_order_id := private.run_submit_dispute_evidence(new.id, new.args);
    when 'accept_dispute' then v_order_id := private.run_accept_dispute(new.args);
    else
      v_answer := coalesce(
        private.run_order_command(new.id, new.command, new.args),
        private.run_shop_command(new.id, new.command, new.args)
      );
  end case;
  v_order_id := coalesce(v_order_id, (
    select o.id from public.orders o
    where o.number = coalesce(new.args ->> 'order_number', v_answer ->> 'order_number')
  ));
  if v_order_id is not null then
    perform private.record_order_event(
      v_order_id, new.command, 'staff', jsonb_build_object('command_id', new.id, 'actor', new.actor)
    );
    perform private.settle_order(v_order_id, 'staff');
  end if;
  update public.staff_commands c
  set order_id = v_order_id,
    result = '{"ok": true}' || private.command_outcome(v_order_id) || coalesce(v_answer, '{}')
  where c.id = new.id;
  return null;
end;
$$;
comment on function private.run_staff_command() is
  'Trigger of staff_commands: carries the command out, notes the result and the audit row. An error undoes '
  'the insert as well.';

create function private.mask_command() returns trigger
language plpgsql
security definer
set search_path = ''
as $$
begin
  new.args := private.mask_cards_in(new.args);
  return new;
end;
$$;
comment on function private.mask_command() is
  'Trigger of staff_commands: a card number in a note, a reason or a tracking number is masked before '
  'anything is stored.';
create trigger mask_command before insert on public.staff_commands
  for each row execute function private.mask_command();

create trigger run_staff_command after insert on public.staff_commands
  for each row execute function private.run_staff_command();

create function private.submit_command(
  p_command text,
  p_args jsonb,
  p_dry_run boolean default false,
  p_command_id uuid default null
) returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_id constant uuid := coalesce(p_command_id, gen_random_uuid());
  c public.staff_commands;
  v_result jsonb;
begin
  -- The policies say the same, in words that help nobody.
  if current_user = 'authenticated' and not private.is_admin() then
    raise exception '% is for staff only', p_command using
      errcode = '42501',
      hint = 'Staff have app_metadata.role = admin and, where ADMIN_REQUIRE_MFA is set, have signed in with '
        'a second factor.';
  end if;
  begin
    insert into public.staff_commands (id, command, args) values (v_id, p_command, p_args)
    on conflict (id) do nothing;
    select * into c from public.staff_commands x where x.id = v_id;
    if c.command <> p_command
      or (p_args ->> 'order_number') is distinct from (c.args ->> 'order_number') then
      raise exception 'command % was another one', v_id using errcode = 'SHINV';
    end if;
    v_result := c.result || jsonb_build_object('command_id', c.id);
    if p_dry_run then
      raise exception 'dry run' using errcode = 'SHDRY';
    end if;
  exception when sqlstate 'SHDRY' then
    v_result := v_result - 'command_id' || '{"dry_run": true}';
  end;
  return v_result;
end;
$$;
comment on function private.submit_command(text, jsonb, boolean, uuid) is
  'Inserts a staff command as the caller, whose policies decide, and returns its result. p_dry_run: carries '
  'it out, undoes all of it, and returns what the result would be. p_command_id: the same command with the '
  'same id is carried out once and answers the same again. 42501: the caller is not staff; SHINV: the id was '
  'another command''s.';
grant execute on function private.submit_command(text, jsonb, boolean, uuid) to authenticated, service_role;

create function public.request_refund(
  p_order_number text,
  p_amount numeric default null,
  p_reason text default null,
  p_restock boolean default false,
  p_lines jsonb default null,
  p_shipping boolean default false,
  p_confirm boolean default false,
  p_dry_run boolean default false,
  p_command_id uuid default null
) returns jsonb
language sql
set search_path = ''
as $$
  select private.submit_command(
    'request_refund',
    jsonb_build_object(
      'order_number', p_order_number, 'amount', p_amount, 'reason', p_reason,
      'restock', coalesce(p_restock, false), 'lines', p_lines, 'shipping', nullif(p_shipping, false),
      'confirm', nullif(p_confirm, false)
    ), p_dry_run, p_command_id
  )
$$;
comment on function public.request_refund(
  text, numeric, text, boolean, jsonb, boolean, boolean, boolean, uuid
) is
  'Refunds an order: pieces (p_lines [{"sku", "quantity", "restock"}], with their share of discount and tax; '
  'p_shipping: and what was paid for delivery), an amount in minor units (alone or beside lines), or all '
  'that is left. restock: the pieces go back on the shelf once the refund has succeeded; with p_restock and '
  'neither lines nor amount, all do. Less than one unit of the currency needs p_confirm. p_dry_run tells '
  'what would happen. Staff only.';

create function public.assign_refund(
  p_refund_id text,
  p_lines jsonb,
  p_restock boolean default false,
  p_dry_run boolean default false
) returns jsonb
language sql
set search_path = ''
as $$
  select private.submit_command(
    'assign_refund',
    jsonb_build_object('refund_id', p_refund_id, 'lines', p_lines, 'restock', coalesce(p_restock, false)),
    p_dry_run
  )
$$;
comment on function public.assign_refund(text, jsonb, boolean, boolean) is
  'Says which pieces a refund was about that was made in Stripe''s dashboard: p_lines [{"sku", "quantity", '
  '"restock"}]. Staff only.';

create function public.announce_return(
  p_order_number text,
  p_lines jsonb,
  p_reason text default null,
  p_dry_run boolean default false
) returns jsonb
language sql
set search_path = ''
as $$
  select private.submit_command(
    'announce_return',
    jsonb_build_object('order_number', p_order_number, 'lines', p_lines, 'reason', p_reason), p_dry_run
  )
$$;
comment on function public.announce_return(text, jsonb, text, boolean) is
  'Notes what a customer will send back: p_lines [{"sku", "quantity"}]. Moves neither money nor stock. Staff '
  'only.';

create function public.close_return(p_return_id uuid, p_note text default null) returns jsonb
language sql
set search_path = ''
as $$
  select private.submit_command(
    'close_return', jsonb_build_object('return_id', p_return_id, 'note', p_note)
  )
$$;
comment on function public.close_return(uuid, text) is
  'Ends a return: of one that was received no money is due, one that was announced will not come (pieces of '
  'it that were not sent are to be sent again). Staff only.';

create function public.add_product(
  p_slug text,
  p_name text,
  p_description text default null,
  p_image_url text default null,
  p_active boolean default true
) returns jsonb
language sql
set search_path = ''
as $$
  select private.submit_command('add_product', jsonb_build_object(
    'slug', p_slug, 'name', p_name, 'description', p_description, 'image_url', p_image_url,
    'active', p_active
  ))
$$;
comment on function public.add_product(text, text, text, text, boolean) is
  'Adds a product; its sizes and colours come with add_variant(). Staff only.';

create function public.add_variant(
  p_product_slug text,
  p_sku text,
  p_price_amount numeric,
  p_currency text,
  p_size text default null,
  p_color text default null,
  p_on_hand integer default 0,
  p_confirm boolean default false
) returns jsonb
language sql
set search_path = ''
as $$
  select private.submit_command('add_variant', jsonb_build_object(
    'product_slug', p_product_slug, 'sku', p_sku, 'price_amount', p_price_amount, 'currency', p_currency,
    'size', p_size, 'color', p_color, 'on_hand', p_on_hand, 'confirm', nullif(p_confirm, false)
  ))
$$;
comment on function public.add_variant(text, text, numeric, text, text, text, integer, boolean) is
  'Puts a size and colour of a product on sale, with its stock. p_price_amount in Stripe''s minor units; a '
  'price that Stripe refuses is refused, one below one unit of the currency needs p_confirm. Staff only.';

create function public.set_price(
  p_sku text,
  p_price_amount numeric,
  p_confirm boolean default false,
  p_dry_run boolean default false
) returns jsonb
language sql
set search_path = ''
as $$
  select private.submit_command('set_price', jsonb_build_object(
    'sku', p_sku, 'price_amount', p_price_amount, 'confirm', nullif(p_confirm, false)
  ), p_dry_run)
$$;
comment on function public.set_price(text, numeric, boolean, boolean) is
  'Gives a SKU another price, in minor units of its currency, for checkouts from now on. Less than one unit '
  'of the currency needs p_confirm. Staff only.';

create function public.acknowledge_alert(p_alert_id uuid) returns jsonb
language sql
set search_path = ''
as $$
  select private.submit_command('acknowledge_alert', jsonb_build_object('alert_id', p_alert_id))
$$;
comment on function public.acknowledge_alert(uuid) is 'Somebody looks at an alert. Staff only.';

create function public.resolve_alert(p_alert_id uuid, p_note text default null) returns jsonb
language sql
set search_path = ''
as $$
  select private.submit_command('resolve_alert', jsonb_build_object('alert_id', p_alert_id, 'note', p_note))
$$;
comment on function public.resolve_alert(uuid, text) is
  'Nothing is left to do about an alert. Happening again, it opens again. Staff only.';

create function public.accept_dispute(p_dispute_id text, p_note text default null) returns jsonb
language sql
set search_path = ''
as $$
  select private.submit_command(
    'accept_dispute', jsonb_build_object('dispute_id', p_dispute_id, 'note', p_note)
  )
$$;
comment on function public.accept_dispute(text, text) is
  'Gives up a dispute: a job closes it at Stripe, and the bank keeps the money. Final. Staff only.';

create function public.export_person(p_email text) returns jsonb
language plpgsql
set search_path = ''
as $$
begin
  perform private.submit_command('export_person', jsonb_build_object('email', p_email));
  return private.export_of_person(p_email);
end;
$$;
comment on function public.export_person(text) is
  'All that is stored of a person under an e-mail address, as JSON, for whom asks what is known of them '
  '(GDPR article 15). Staff only.';

create function public.receive_return(
  p_order_number text,
  p_lines jsonb default null,
  p_note text default null,
  p_dry_run boolean default false,
  p_command_id uuid default null
) returns jsonb
language sql
set search_path = ''
as $$
  select private.submit_command(
    'receive_return', jsonb_build_object('order_number', p_order_number, 'lines', p_lines, 'note', p_note),
    p_dry_run, p_command_id
  )
$$;
comment on function public.receive_return(text, jsonb, text, boolean, uuid) is
  'Pieces of an order are in the house again: p_lines [{"sku", "quantity", "restock"}], or all that can come '
  'back. They go on the shelf, with "restock": false (damaged) they do not. Moves no money. Staff only.';

create function public.cancel_order(p_order_number text, p_reason text default null) returns jsonb
language sql
set search_path = ''
as $$
  select private.submit_command(
    'cancel_order', jsonb_build_object('order_number', p_order_number, 'reason', p_reason)
  )
$$;
comment on function public.cancel_order(text, text) is
  'Cancels an order that has not shipped: closes its checkout, frees its stock, refunds what was paid. '
  'Staff only.';

create function public.release_review(p_order_number text, p_note text default null) returns jsonb
language sql
set search_path = ''
as $$
  select private.submit_command(
    'release_review', jsonb_build_object('order_number', p_order_number, 'note', p_note)
  )
$$;
comment on function public.release_review(text, text) is
  'Lets an order that is held for review ship. Releases what is known now; what turns up later holds it '
  'again. Staff only.';

create function public.mark_fulfilled(
  p_order_number text,
  p_carrier text default null,
  p_tracking_number text default null,
  p_lines jsonb default null
) returns jsonb
language sql
set search_path = ''
as $$
  select private.submit_command(
    'mark_fulfilled',
    jsonb_build_object(
      'order_number', p_order_number, 'carrier', p_carrier, 'tracking_number', p_tracking_number,
      'lines', p_lines
    )
  )
$$;
comment on function public.mark_fulfilled(text, text, text, jsonb) is
  'Notes a parcel and mails the customer: p_lines [{"sku", "quantity"}], or all that is still to be sent. '
  'The order is fulfilled when nothing is left. Of an order that has shipped in one parcel it corrects '
  'carrier and tracking number, and mails the correction. Staff only.';

create function public.correct_shipment(
  p_order_number text,
  p_parcel integer,
  p_carrier text default null,
  p_tracking_number text default null
) returns jsonb
language sql
set search_path = ''
as $$
  select private.submit_command(
    'correct_shipment',
    jsonb_build_object(
      'order_number', p_order_number, 'parcel', p_parcel, 'carrier', p_carrier,
      'tracking_number', p_tracking_number
    )
  )
$$;
comment on function public.correct_shipment(text, integer, text, text) is
  'Corrects carrier or tracking number of a parcel (numbered from 1 in each order) and mails the correction. '
  'Staff only.';

create function public.submit_dispute_evidence(p_dispute_id text, p_note text default null) returns jsonb
language sql
set search_path = ''
as $$
  select private.submit_command(
    'submit_dispute_evidence', jsonb_build_object('dispute_id', p_dispute_id, 'note', p_note)
  )
$$;
comment on function public.submit_dispute_evidence(text, text) is
  'Sends the evidence assembled from the order, and the note, to the bank. Final: Stripe takes evidence '
  'once. Staff only.';

create function public.resend_notification(p_order_number text, p_template text) returns jsonb
language sql
set search_path = ''
as $$
  select private.submit_command(
    'resend_notification', jsonb_build_object('order_number', p_order_number, 'template', p_template)
  )
$$;
comment on function public.resend_notification(text, text) is
  'Mails a template that the order has had before once more, if what it says is still true. Staff only.';

create function public.redrive_webhook_event(p_event_id text) returns jsonb
language sql
set search_path = ''
as $$
  select private.submit_command('redrive_webhook_event', jsonb_build_object('event_id', p_event_id))
$$;
comment on function public.redrive_webhook_event(text) is
  'Queues a webhook event again, whatever became of it: it is translated anew and its facts merged. Staff '
  'only.';

create function public.erase_customer(p_email text) returns jsonb
language sql
set search_path = ''
as $$
  select private.submit_command('erase_customer', jsonb_build_object('email', p_email))
$$;
comment on function public.erase_customer(text) is
  'Removes a person from everything known under an e-mail address, also at Stripe, and answers with counts; '
  'ok and found are false when nobody is known under it. Refused while a dispute waits for evidence. Staff '
  'only.';

create function public.lift_mail_suppression(p_email text, p_reason text default 'bounced') returns jsonb
language sql
set search_path = ''
as $$
  select private.submit_command(
    'lift_mail_suppression', jsonb_build_object('email', p_email, 'reason', p_reason)
  )
$$;
comment on function public.lift_mail_suppression(text, text) is
  'Sends mail to an address again: p_reason bounced (it works by now), complained or unsubscribed (only if '
  'the customer has asked for it). Resend keeps a list of its own. Staff only.';

create function public.adjust_inventory(p_sku text, p_delta integer, p_reason text) returns jsonb
language sql
set search_path = ''
as $$
  select private.submit_command(
    'adjust_inventory', jsonb_build_object('sku', p_sku, 'delta', p_delta, 'reason', p_reason)
  )
$$;
comment on function public.adjust_inventory(text, integer, text) is
  'Goods received (p_delta > 0) or lost (p_delta < 0). Staff only.';

create function public.count_inventory(p_counts jsonb, p_note text default null) returns jsonb
language sql
set search_path = ''
as $$
  select private.submit_command('count_inventory', jsonb_build_object('counts', p_counts, 'note', p_note))
$$;
comment on function public.count_inventory(jsonb, text) is
  'Sets the stock to what was counted: p_counts [{"sku", "counted"}], all pieces in the house, those sold '
  'and not sent included. All lines or none; counting again changes nothing. Staff only.';

create function public.import_inventory(p_csv text, p_note text default null) returns jsonb
language sql
set search_path = ''
as $$
  select private.submit_command('import_inventory', jsonb_build_object('csv', p_csv, 'note', p_note))
$$;
comment on function public.import_inventory(text, text) is
  'As count_inventory(), from a CSV file: SKU and pieces in the house, with or without a heading that begins '
  'with sku. Staff only.';

grant execute on function
  public.request_refund(text, numeric, text, boolean, jsonb, boolean, boolean, boolean, uuid),
  public.assign_refund(text, jsonb, boolean, boolean), public.announce_return(text, jsonb, text, boolean),
  public.close_return(uuid, text), public.cancel_order(text, text),
  public.release_review(text, text), public.mark_fulfilled(text, text, text, jsonb),
  public.correct_shipment(text, integer, text, text),
  public.submit_dispute_evidence(text, text), public.resend_notification(text, text),
  public.redrive_webhook_event(text), public.erase_customer(text),
  public.adjust_inventory(text, integer, text), public.count_inventory(jsonb, text),
  public.import_inventory(text, text), public.receive_return(text, jsonb, text, boolean, uuid),
  public.add_variant(text, text, numeric, text, text, text, integer, boolean),
  public.add_product(text, text, text, text, boolean), public.set_price(text, numeric, boolean, boolean),
  public.acknowledge_alert(uuid), public.resolve_alert(uuid, text), public.accept_dispute(text, text),
  public.export_person(text), public.lift_mail_suppression(text, text)
to authenticated, service_role;
