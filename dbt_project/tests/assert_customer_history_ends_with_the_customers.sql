-- Rows here are faults: customers that the end of their history tells otherwise, or that only one of the two has.
{% set columns %}
    customer_key, name_masked, age, gender, city, country, language, preferred_channel, do_not_contact, owner_agent_key
{% endset %}

(
    select {{ columns }} from {{ ref('dim_customers') }}
    except
    select {{ columns }} from {{ ref('customer_history') }} where is_current
)
union all
(
    select {{ columns }} from {{ ref('customer_history') }} where is_current
    except
    select {{ columns }} from {{ ref('dim_customers') }}
)
