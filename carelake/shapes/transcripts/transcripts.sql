-- A transcript, WebVTT or JSON, as one row: what was said, and by which side.
with

documents as (
    select
        row_number,
        text,
        case when is_json then text::json end as document,
        settings.*,
    from records
    cross join settings
),

located as (
    select
        *,
        case
            when json_type(document) = 'ARRAY' then document
            else coalesce(
                nullif(json_extract(document, '$.turns'), 'null'::json), nullif(json_extract(document, '$.segments'), 'null'::json),
                nullif(json_extract(document, '$.utterances'), 'null'::json), nullif(json_extract(document, '$.messages'), 'null'::json),
                nullif(json_extract(document, '$.transcript'), 'null'::json)
            )
        end as listed,
        coalesce(
            json_extract_string(document, id_pointer), json_extract_string(document, '$.call_id'),
            json_extract_string(document, '$.callId'), json_extract_string(document, '$.call_sid'),
            json_extract_string(document, '$.uniqueid'), json_extract_string(document, '$.uuid')
        ) as named_call_id,
        regexp_replace(parse_filename(file_name), '(?i)(\.(json|jsonl|vtt|gz|zst))+$', '') as stem,
    from documents
),

json_turns as (
    select
        row_number,
        unnest(from_json(listed, '["JSON"]')) as turn,
        generate_subscripts(from_json(listed, '["JSON"]'), 1) as place,
    from located
    where json_type(listed) = 'ARRAY'
),

said_in_json as (
    select
        row_number,
        place,
        coalesce(
            json_extract_string(turn, '$.role'), json_extract_string(turn, '$.speaker'),
            json_extract_string(turn, '$.speaker_label'), json_extract_string(turn, '$.participant'),
            json_extract_string(turn, '$.from'), json_extract_string(turn, '$.channel')
        ) as speaker,
        coalesce(
            json_extract_string(turn, '$.text'), json_extract_string(turn, '$.content'),
            json_extract_string(turn, '$.transcript'), json_extract_string(turn, '$.message')
        ) as said,
        coalesce(
            json_extract_string(turn, '$.start'), json_extract_string(turn, '$.start_time'),
            json_extract_string(turn, '$.at'), json_extract_string(turn, '$.offset')
        ) as moment,
    from json_turns
),

blocks as (
    select row_number, unnest(string_split_regex(replace(text, chr(13), ''), '\n[ \t]*\n')) as block,
        generate_subscripts(string_split_regex(replace(text, chr(13), ''), '\n[ \t]*\n'), 1) as place,
    from located
    where document is null
),

-- A cue may hold the words of several: <v Anna>Hello</v>. A block without a time is a note or a style.
cues as (
    select
        row_number,
        place,
        regexp_extract(block, '((?:\d+:)?\d\d:\d\d[.,]\d{3})\s*-->', 1) as moment,
        string_split_regex(
            regexp_replace(regexp_replace(block, '^(?s:.*?)-->[^\n]*\n?', ''), '<v\.[^ >]*', '<v', 'g'), '<v\s+'
        ) as spans,
    from blocks
    where contains(block, '-->')
),

spans as (
    select row_number, place, moment, unnest(spans) as span, generate_subscripts(spans, 1) as span_place, from cues
),

said_in_cues as (
    select
        row_number,
        place * 1000 + span_place as place,
        case
            when span_place > 1 then trim(split_part(span, '>', 1))
            -- agent: Hello
            when list_contains(list_concat(customers, agents), lower(trim(regexp_extract(span, '^([^:：\n]{1,30})[:：]', 1))))
                then trim(regexp_extract(span, '^([^:：\n]{1,30})[:：]', 1))
        end as speaker,
        case
            when span_place > 1 then substr(span, strpos(span, '>') + 1)
            when speaker is not null then regexp_replace(span, '^[^:：\n]{1,30}[:：]\s*', '')
            else span
        end as marked,
        replace(replace(replace(replace(
            regexp_replace(marked, '<[^>]*>', '', 'g'), '&nbsp;', ' '), '&lt;', '<'), '&gt;', '>'), '&amp;', '&'
        ) as said,
        moment,
    from spans
    cross join settings
),

turns as (
    select row_number, place, speaker, trim(regexp_replace(said, '\s+', ' ', 'g')) as said, moment from said_in_json
    union all
    select row_number, place, speaker, trim(regexp_replace(said, '\s+', ' ', 'g')), moment from said_in_cues
),

sided as (
    select
        turns.*,
        case
            when list_contains(customers, lower(trim(speaker))) then 'customer'
            when list_contains(agents, lower(trim(speaker))) then 'agent'
        end as named_side,
        count(*) filter (where named_side = 'customer') over in_transcript > 0 as knows_customer,
        count(*) filter (where named_side = 'agent') over in_transcript > 0 as knows_agent,
    from turns
    cross join settings
    where said <> ''
    window in_transcript as (partition by row_number)
),

-- Two talk: where one side is known, whoever else is named is the other.
told as (
    select
        *,
        case
            when named_side is not null then named_side
            when speaker is null then null
            when knows_agent and not knows_customer then 'customer'
            when knows_customer and not knows_agent then 'agent'
        end as side,
    from sided
),

joined as (
    select
        row_number,
        string_agg(said, chr(10) order by place) filter (where side = 'customer') as customer_text,
        string_agg(said, chr(10) order by place) filter (where side = 'agent') as agent_text,
        string_agg(coalesce(coalesce(side, speaker) || ': ', '') || said, chr(10) order by place) as text,
        to_json(list({ 'side': side, 'speaker': speaker, 'at': moment, 'text': said } order by place))::varchar as turns,
    from told
    group by row_number
),

final as (
    select
        located.row_number,
        file_name || case when is_one_of_many then '#' || located.row_number else '' end as transcript_id,
        coalesce(named_call_id, nullif(regexp_extract(stem, name_pattern, 1), '')) as call_id,
        joined.customer_text,
        joined.agent_text,
        coalesce(joined.text, case when json_type(listed) = 'VARCHAR' then listed ->> '$' end) as text,
        joined.turns,
        json_extract_string(document, '$.language') as language,
        coalesce(
            json_extract_string(document, '$.recorded_at'), json_extract_string(document, '$.started_at')
        ) as recorded_at,
    from located
    left join joined using (row_number)
)

select * from final
