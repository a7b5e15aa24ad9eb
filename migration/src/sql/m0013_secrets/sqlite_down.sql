DROP TABLE generation_secrets;
