{# Keys leave the warehouse, identifiers do not: every key carries the pepper, a variable set on each
   connection and never written into SQL that dbt keeps. #}

{# Key of a contact point or customer. #}
{% macro contact_key(kind, value) -%}
    sha256(concat(getvariable('pepper'), '|', {{ kind }}, '|', {{ value }}))
{%- endmacro %}

{# Key of a row: md5 is enough against collisions and far cheaper on the big tables. #}
{% macro row_key(kind, parts) -%}
    md5(concat(getvariable('pepper'), '|{{ kind }}|', {{ parts | join(", '|', ") }}))
{%- endmacro %}

{# Who a row speaks of, as one number: rows that carry the same identifiers share it. The model needs
   source_name, email, phone, handle and customer_id; NULL without any identifier. #}
{% macro identity_key(channel='channel') -%}
    case
        when coalesce(email, phone, handle, customer_id) is not null
            then hash(source_name, {{ channel }}, email, phone, handle, customer_id)
    end
{%- endmacro %}

{# A customer as a number: who counts or compares needs no text of 64 letters. Nobody is NULL. #}
{% macro customer_hash(key='customer_key') -%}
    case when {{ key }} is not null then hash({{ key }}) end
{%- endmacro %}
