{# Minutes between two times, exact to the millisecond. #}
{% macro minutes_between(earlier, later) -%}
    ((epoch_ms({{ later }}) - epoch_ms({{ earlier }})) / 60000)::decimal(18, 3)
{%- endmacro %}

{# A survey score brought to 0..1; a CES survey asks how easy it was, or how hard. #}
{% macro satisfaction(kind, score, ces_easy_is) -%}
    case {{ kind }}
        when 'csat' then (({{ score }} - 1) / 4)::decimal(9, 6)
        when 'nps' then ({{ score }} / 10)::decimal(9, 6)
        when 'ces'
            then (
                case when {{ ces_easy_is }} = 'low' then 7 - {{ score }} else {{ score }} - 1 end / 6
            )::decimal(9, 6)
    end
{%- endmacro %}

{# Division of exact sums; the quotient is rounded once, so it is the same in every run. #}
{% macro share(part, whole, type='decimal(9, 6)') -%}
    (({{ part }}) / nullif({{ whole }}, 0))::{{ type }}
{%- endmacro %}

{# Whole days from the reporting day of a moment to a day. The model needs `settings.reporting_timezone`. #}
{% macro days_until(moment, day) -%}
    date_diff('day', ({{ moment }} at time zone settings.reporting_timezone)::date, {{ day }})::integer
{%- endmacro %}

{# What became of a promise; NULL where there was none. The model needs `settings.as_of`. #}
{% macro kept(done_at, due_at) -%}
    case
        when {{ due_at }} is null then null
        when {{ done_at }} <= {{ due_at }} then 'hit'
        when coalesce({{ done_at }}, settings.as_of) > {{ due_at }} then 'breach'
        else 'active'
    end
{%- endmacro %}

{# An exact sum under the name of what is summed; NULL where nothing was measured. #}
{% macro summed(column) -%}
    sum({{ column }})::decimal(18, 3) as {{ column }}
{%- endmacro %}

{# First day of the reporting month of a moment. Zones are asked only near the turn of a month: none is a day ahead. The
   model needs `settings.reporting_timezone`. #}
{% macro reporting_month(moment) -%}
    case
        when extract('day' from make_timestamp(epoch_us({{ moment }}))) between 3 and 26
            then date_trunc('month', make_timestamp(epoch_us({{ moment }})))::date
        else date_trunc('month', {{ moment }} at time zone settings.reporting_timezone)::date
    end
{%- endmacro %}
