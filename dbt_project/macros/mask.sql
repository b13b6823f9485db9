{# Text without what identifies a person: e-mail addresses, phone numbers, bank cards, Chinese ids.
   The cheap tests first: most texts hold neither an @ nor a long number. Phone numbers are known by
   their shape (country code, Chinese mobile, area code, 3-3-4, any run of 9 to 13 digits), so that a
   date stays a date. A long number that is none of these, as in a link or glued to letters, goes too:
   nobody can tell what it identifies. Written in the wide signs of a Chinese keyboard they are the same, and the text is
   masked as if it were written in narrow ones. #}
{% macro mask_text(column) -%}
    case
        when regexp_matches({{ column }}, '＠|[０-９][０-９　（）．－ ().-]{5,}')
            then {{ mask_narrow_text("translate(" ~ column ~ ", '０１２３４５６７８９＠＋－．（）　', '0123456789@+-.() ')") }}
        else {{ mask_narrow_text(column) }}
    end
{%- endmacro %}

{% macro mask_narrow_text(column) -%}
    case
        when {{ column }} is null then null
        when regexp_matches({{ column }}, '\d[\d ().-]{5,}') then
            regexp_replace(
                regexp_replace(
                    regexp_replace(
                        regexp_replace(
                            {{ mask_emails(column) }},
                            '\b[1-9]\d{5}(?:18|19|20)\d{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])\d{3}[\dXx]\b',
                            '‹id›', 'g'
                        ),
                        '(^|[^\d+])\d(?:[ -]?\d){14,18}\b', '\1‹card›', 'g'
                    ),
                    '{{ phone_shapes() }}', '‹phone›', 'g'
                ),
                '\d{9,}', '‹number›', 'g'
            )
        else {{ mask_emails(column) }}
    end
{%- endmacro %}

{% macro phone_shapes() -%}
    {%- set shapes = [
        '\\+\\d[\\d ().-]{6,18}\\d',
        '\\b1[3-9]\\d[ -]?\\d{4}[ -]?\\d{4}\\b',
        '\\(?\\b0\\d{1,4}[ )-]{0,2}\\d{3,4}[ -]?\\d{3,5}\\b',
        '\\(?\\b\\d{3}[ .)-]{1,2}\\d{3}[ .-]\\d{4}\\b',
        '\\b\\d{3}-\\d{4}\\b',
        '\\b\\d{9,13}\\b',
    ] -%}
    {{ shapes | join('|') }}
{%- endmacro %}

{% macro mask_emails(column) -%}
    case
        when contains({{ column }}, '@')
            then regexp_replace({{ column }}, '[A-Za-z0-9._%+\-]+@[A-Za-z0-9\-]+(?:\.[A-Za-z0-9\-]+)+', '‹email›', 'g')
        else {{ column }}
    end
{%- endmacro %}

{# The first character of each part of a name; what holds no visible character is none. #}
{% macro mask_name(column) -%}
    case
        when not regexp_matches({{ column }}, '\S') then null
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
