-- Two databases, each with a user that cannot reach the other. Run once, by the superuser, when the
-- server's volume is new; the passwords come from the environment and stand nowhere else.
\getenv airflow_password AIRFLOW_DB_PASSWORD
\getenv mlflow_password MLFLOW_DB_PASSWORD

create role airflow login password :'airflow_password';
create role mlflow login password :'mlflow_password';
create database airflow owner airflow;
create database mlflow owner mlflow;
revoke all on database airflow, mlflow, postgres from public;
