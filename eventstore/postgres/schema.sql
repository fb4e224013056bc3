-- Version 1 of the schema of a log. What every column means is in docs/format/postgres.md.
-- {s} is the name of the schema, {q} the same as a text, {events} the name of the table of
-- events as a text, {class} the upper half of the numbers of our advisory locks. Released versions are never changed.

create table {s}.schema_version (
	one     boolean primary key default true check (one),
	version integer not null
);
create table {s}.lineage (
	first    bigint  primary key,
	uuid     uuid    not null,
	timeline integer not null,
	system   bigint  not null
);
create table {s}.events (
	position    bigint                     primary key,
	stream      text collate "C"           not null,
	version     bigint                     not null,
	previous    bigint                     not null,
	number      bigint                     not null,
	type        text collate "C"           not null,
	recorded_at timestamptz                not null,
	crc         bigint                     not null,
	data        bytea                      not null,
	meta        json,
	key         bytea,
	fingerprint bytea,
	unique (stream, version)
);
create table {s}.commits (
	first       bigint      primary key,
	last        bigint      not null,
	recorded_at timestamptz not null,
	hash        bytea       not null,
	batch       uuid        not null
);
create table {s}.counters (
	category text collate "C" primary key,
	highest  bigint not null
) with (fillfactor = 50);
create table {s}.outcomes (
	key         bytea            primary key,
	id          bigint           not null unique,
	fingerprint bytea            not null,
	stream      text collate "C" not null,
	version     bigint           not null,
	position    bigint           not null,
	events      integer          not null,
	recorded_at timestamptz      not null,
	data        bytea            not null,
	batch       uuid             not null
);
create table {s}.views (
	name    text    primary key,
	columns text[]  not null,
	indexes text[]  not null,
	ddl     text    not null,
	green   boolean not null default false
);
create view {s}.history as
	select position, stream, version, number, type, recorded_at,
		convert_from(data, 'UTF8') as data, meta
	from {s}.events;

-- The functions are all that a role which serves may do beside reading. They run with the
-- rights of the owner, take no name of a table from outside, and find nothing by a search
-- path.

create function {s}.take_lock() returns void
language sql volatile security definer set search_path = pg_catalog, pg_temp as $$
	select pg_advisory_xact_lock(({class}::bigint << 32) | {events}::regclass::oid::bigint)
$$;

create function {s}.timeline() returns integer
language sql volatile security definer set search_path = pg_catalog, pg_temp as $$
	select ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::integer
$$;

create function {s}.append(
	p_batch uuid, p_first bigint, p_moment timestamptz, p_hash bytea,
	p_streams text[], p_versions bigint[], p_previous bigint[], p_numbers bigint[], p_types text[],
	p_crcs bigint[], p_data bytea[], p_meta text[], p_keys bytea[], p_fingerprints bytea[],
	p_categories text[], p_highest bigint[]
) returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
	v_last bigint;
	v_moment timestamptz;
	v_timeline integer;
begin
	perform {s}.take_lock();
	if current_setting('synchronous_commit') <> 'remote_apply' then
		perform set_config('synchronous_commit', 'on', true);
	end if;
	select last, recorded_at into v_last, v_moment from {s}.commits order by first desc limit 1;
	if p_first <> coalesce(v_last, 0) + 1 or p_moment < v_moment then
		raise exception 'the log ends at position % and %, the events begin at % and %',
			coalesce(v_last, 0), v_moment, p_first, p_moment using errcode = 'serialization_failure';
	end if;
	insert into {s}.events
		select p_first + e.i - 1, e.stream, e.version, e.previous, e.number, e.type, p_moment,
			e.crc, e.data, e.meta::json, e.key, e.fingerprint
		from unnest(p_streams, p_versions, p_previous, p_numbers, p_types, p_crcs, p_data, p_meta, p_keys, p_fingerprints)
			with ordinality as e(stream, version, previous, number, type, crc, data, meta, key, fingerprint, i);
	insert into {s}.commits values (p_first, p_first + cardinality(p_streams) - 1, p_moment, p_hash, p_batch);
	insert into {s}.counters select * from unnest(p_categories, p_highest)
		on conflict (category) do update set highest = greatest(counters.highest, excluded.highest);
	v_timeline := {s}.timeline();
	if (select l.timeline from {s}.lineage l order by l.first desc limit 1) <> v_timeline then
		insert into {s}.lineage
			select p_first, gen_random_uuid(), v_timeline, l.system from {s}.lineage l order by l.first desc limit 1
			on conflict (first) do update set uuid = excluded.uuid, timeline = excluded.timeline;
	end if;
end $$;

create function {s}.remember(
	p_batch uuid, p_moment timestamptz, p_keys bytea[], p_fingerprints bytea[], p_streams text[],
	p_versions bigint[], p_positions bigint[], p_events integer[], p_data bytea[],
	p_keep bigint, p_keep_for interval
) returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
	v_id bigint;
begin
	perform {s}.take_lock();
	if current_setting('synchronous_commit') <> 'remote_apply' then
		perform set_config('synchronous_commit', 'on', true);
	end if;
	select coalesce(max(id), 0) into v_id from {s}.outcomes;
	insert into {s}.outcomes
		select o.key, v_id + o.i, o.fingerprint, o.stream, o.version, o.position, o.events, p_moment, o.data, p_batch
		from unnest(p_keys, p_fingerprints, p_streams, p_versions, p_positions, p_events, p_data)
			with ordinality as o(key, fingerprint, stream, version, position, events, data, i)
		on conflict (key) do update set
			id = excluded.id, fingerprint = excluded.fingerprint, stream = excluded.stream,
			version = excluded.version, position = excluded.position, events = excluded.events,
			recorded_at = excluded.recorded_at, data = excluded.data, batch = excluded.batch;
	v_id := v_id + cardinality(p_keys);
	while exists (select from (select id, recorded_at from {s}.outcomes order by id limit 1) o
			where o.id <= v_id - p_keep or o.recorded_at < p_moment - p_keep_for) loop
		delete from {s}.outcomes where id in (
			select o.id from (select id, recorded_at from {s}.outcomes order by id limit 100) o
			where o.id <= v_id - p_keep or o.recorded_at < p_moment - p_keep_for
		);
	end loop;
end $$;

create function {s}.arrive() returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
	v_system bigint;
	v_timeline integer := {s}.timeline();
begin
	begin
		select system_identifier into v_system from pg_control_system();
	exception when insufficient_privilege or undefined_function then
		v_system := 0;
	end;
	if exists (select from (select l.timeline, l.system from {s}.lineage l order by l.first desc limit 1) l
			where l.timeline = v_timeline and l.system = v_system) then
		return;
	end if;
	perform {s}.take_lock();
	insert into {s}.lineage
		select coalesce((select max(c.last) from {s}.commits c), 0) + 1, gen_random_uuid(), v_timeline, v_system
		where not exists (select from (select l.timeline, l.system from {s}.lineage l order by l.first desc limit 1) l
			where l.timeline = v_timeline and l.system = v_system)
		on conflict (first) do update set uuid = excluded.uuid, timeline = excluded.timeline, system = excluded.system;
end $$;

create function {s}.make_green() returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
	v record;
	g record;
begin
	perform {s}.take_lock();
	perform {s}.drop_green();
	for v in select name, ddl from {s}.views loop
		execute replace(v.ddl, '{table}', v.name || '_green');
		for g in
			select a.grantee, a.privilege_type from pg_class c, aclexplode(c.relacl) a
			where c.oid = format('%I.%I', {q}, v.name)::regclass and a.grantee <> c.relowner
		loop
			execute format('grant %s on %I.%I to %s', g.privilege_type, {q}, v.name || '_green',
				case g.grantee when 0 then 'public' else quote_ident(pg_get_userbyid(g.grantee)) end);
		end loop;
	end loop;
end $$;

create function {s}.register_green() returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
	perform {s}.take_lock();
	update {s}.views set green = true;
end $$;

create function {s}.flip() returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
	v_name text;
begin
	perform {s}.take_lock();
	for v_name in select name from {s}.views where green order by name loop
		execute format('alter table %I.%I rename to %I', {q}, v_name, v_name || '_old');
		execute format('alter table %I.%I rename to %I', {q}, v_name || '_green', v_name);
	end loop;
	update {s}.views set green = false;
end $$;

create function {s}.drop_green() returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
	v_name text;
begin
	perform {s}.take_lock();
	update {s}.views set green = false where green;
	for v_name in select name from {s}.views loop
		execute format('drop table if exists %I.%I', {q}, v_name || '_green');
		execute format('drop table if exists %I.%I', {q}, v_name || '_old');
	end loop;
end $$;
