/** Tables and functions to ask over REST, and what was answered. */

export const SCHEMA = `
create table public.shelves (
  id int primary key generated always as identity, name text not null, tags text[], data jsonb,
  open boolean not null default true, built_at timestamptz not null default '2026-01-01T00:00:00Z'
);
create table public.books (
  id bigint primary key generated always as identity, shelf_id int not null references public.shelves,
  isbn text unique, price bigint
);
alter table public.shelves enable row level security;
alter table public.books enable row level security;
create policy shelves_read on public.shelves for select to anon, authenticated using (open);
create policy books_read on public.books for select to anon, authenticated using (true);
grant select on public.shelves, public.books to anon, authenticated;
grant select, insert, update, delete on public.shelves, public.books to service_role;
create function public.echo(p_a jsonb, p_b text default 'x', p_c int[] default null) returns jsonb language sql as $$
  select jsonb_build_object('a', p_a, 'b', p_b, 'c', p_c, 'role', current_user, 'claims', auth.jwt(), 'uid', auth.uid(),
    'apikey', current_setting('request.headers')::jsonb ->> 'apikey')
$$;
create function public.nothing() returns void language sql as 'select';
create function public.staff_only() returns int language sql as 'select 1';
create function public.fail_with(p_code text) returns void language plpgsql as $$
begin raise exception using errcode = p_code, message = 'no', detail = 'because', hint = 'try'; end $$;
create function public.count_to(p_n int) returns table (number int, word text) language sql stable as $$
  select g, 'w' || g from generate_series(1, p_n) g $$;
create function public.numbers(p_n int) returns setof int language sql stable as 'select generate_series(1, p_n)';
create function public.first_shelf() returns public.shelves language sql stable as
  'select * from public.shelves order by id limit 1';
create type public.verdict as (word text, n int, tags text[]);
create function public.judge(p_n int) returns public.verdict language sql stable as $$
  select case when p_n > 0 then row('yes', p_n, '{a}')::public.verdict end $$;
create function public.verdicts(p_n int) returns public.verdict[] language sql stable as $$
  select array_agg(row('yes', g, null)::public.verdict) from generate_series(1, p_n) g $$;
create function public.named(out a int, out b text) language sql stable as $$ select 1, 'x' $$;
create function public.twice(p_a int) returns int language sql as 'select 1';
create function public.twice(p_a text) returns int language sql as 'select 2';
create function public.insert_and_fail(p_name text) returns setof public.shelves language sql as
  'insert into public.shelves (name) values (p_name), (p_name) returning *';
grant execute on function public.echo, public.nothing, public.fail_with, public.count_to, public.numbers,
  public.first_shelf, public.insert_and_fail, public.judge, public.verdicts, public.named, public.twice(int),
  public.twice(text) to anon, authenticated, service_role;
insert into public.shelves (name, tags, data) values ('A, "one"', '{x,y}', '{"k": {"z": 1}}'), ('B', null, null);
insert into public.shelves (name, open) values ('closed', false);
insert into public.books (shelf_id, isbn, price) values (1, 'S1', 100), (1, 'S2', 200), (2, 'S3', 5);
`;
