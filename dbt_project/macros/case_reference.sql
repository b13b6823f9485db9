{# The number of a case that somebody names, in lower case: "ticket #4711", "case no. CS-0012", "工单号：88231". #}
{% macro case_reference(text) -%}
    nullif(lower(regexp_extract(
        {{ text }},
        '(?i)(?:\b(?:case|ticket|incident)\b|工单|案件|受理)(?:[\s-]*(?:number|no\.?|nr\.?|id|编号|号码?))?\s*[:：#]?\s*#?([a-z]{0,6}-?\d[\w-]{1,19})', 1
    )), '')
{%- endmacro %}
