{# Text without what identifies a person: e-mail addresses, phone numbers, bank cards, Chinese ids.
   The cheap tests first: most texts hold neither an @ nor a long number. #}
{% macro mask_text(column) -%}
    case
        when {{ column }} is null then null
        when regexp_matches({{ column }}, '[0-9０-９][0-9０-９ ().\-]{5,}') then
            regexp_replace(
                regexp_replace(
                    regexp_replace(
                        {{ mask_emails(column) }},
                        '(^|[^0-9A-Za-z])[1-9]\d{5}(?:18|19|20)\d{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])\d{3}[0-9Xx]',
                        '\1‹id›', 'g'
                    ),
                    '(^|[^0-9+])\d(?:[ -]?\d){14,18}', '\1‹card›', 'g'
                ),
                '(?:\+|00)?[(]?\d{1,4}[)]?(?:[ .\-]?[(]?\d{2,5}[)]?){1,4}[ .\-]?\d{2,}', '‹phone›', 'g'
            )
        else {{ mask_emails(column) }}
    end
{%- endmacro %}

{% macro mask_emails(column) -%}
    case
        when contains({{ column }}, '@')
            then regexp_replace({{ column }}, '[A-Za-z0-9._%+\-]+@[A-Za-z0-9\-]+(?:\.[A-Za-z0-9\-]+)+', '‹email›', 'g')
        else {{ column }}
    end
{%- endmacro %}

{# The first character of each part of a name. #}
{% macro mask_name(column) -%}
    case
        when regexp_matches({{ column }}, '\p{Han}') then left(trim({{ column }}), 1) || '*'
        else regexp_replace(trim({{ column }}), '(\S)\S*', '\1*', 'g')
    end
{%- endmacro %}

{% macro mask_value(kind, value) -%}
    case {{ kind }}
        when 'email' then left({{ value }}, 1) || '***@' || split_part({{ value }}, '@', 2)
        when 'phone' then left({{ value }}, 3) || '***' || right({{ value }}, 2)
        else '***' || right({{ value }}, 2)
    end
{%- endmacro %}
