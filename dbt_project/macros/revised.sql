{# Records handed over more than once: what was said of each, and from when until when that was the newest known. Makes
   the CTE `spans`, one row per version that was the newest at some time, of such records alone: `known_from` is NULL
   for the first one, which holds for all time before too, `known_until` for the newest. Versions follow each other as
   in `set_aside`, and are known as in `as_known`: from their change on, where the source tells of one, else from when
   they were extracted. A deletion that was taken back tells nothing. #}
{% macro spans(entity, id, columns) %}
superseded as (
    select source_name, {{ id }},
    from {{ ref('stg_' ~ entity ~ '__classified') }}
    where disposition = 'superseded'
    group by source_name, {{ id }}
),

-- What is said again is a duplicate, also of what was said before something else.
versions as (
    select
        versions.source_name,
        versions.{{ id }},
        {% for column in columns -%}
        versions.{{ column }},
        {% endfor -%}
        versions.updated_at,
        versions.extracted_at,
        coalesce(versions.updated_at, versions.extracted_at) as known_at,
        row_number() over (
            partition by versions.source_name, versions.{{ id }}
            order by
                versions.updated_at nulls first, versions.extracted_at, versions.file_name, versions.row_number,
                versions.batch_id
        ) as position,
    from {{ ref('stg_' ~ entity ~ '__classified') }} as versions
    inner join superseded
        on versions.source_name = superseded.source_name and versions.{{ id }} = superseded.{{ id }}
    where versions.disposition in ('staged', 'superseded', 'duplicate') and not versions.is_deleted
),

-- Without a time of change, what came after that which is newer was never the newest.
once_newest as (
    select *,
    from versions
    qualify
        updated_at is not null
        or coalesce(extracted_at <= min(extracted_at) over (
            partition by source_name, {{ id }} order by position
            rows between 1 following and unbounded following
        ), true)
),

followed as (
    select
        *,
        min(known_at) over (
            partition by source_name, {{ id }} order by position
            rows between 1 following and unbounded following
        ) as known_until,
        row_number() over (partition by source_name, {{ id }} order by position) as nth,
    from once_newest
),

spans as (
    select
        * exclude (updated_at, extracted_at, known_at, position, nth),
        case when nth > 1 then least(known_at, known_until) end as known_from,
    from followed
)
{%- endmacro %}
