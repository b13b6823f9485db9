{# Business time up to a moment, in milliseconds: what passed before the interval it lies in or after, and
   what passed of that. `hours` is a row of int_business_time, the last one that opens not after the moment.
   The business time between two moments is the difference of two of these. #}
{% macro business_ms(moment_ms, hours='hours') -%}
    {{ hours }}.ms_before + least({{ moment_ms }}, {{ hours }}.closes_ms) - {{ hours }}.opens_ms
{%- endmacro %}

{# Milliseconds as minutes, exact to the millisecond. #}
{% macro as_minutes(milliseconds) -%}
    (({{ milliseconds }}) / 60000)::decimal(18, 3)
{%- endmacro %}
