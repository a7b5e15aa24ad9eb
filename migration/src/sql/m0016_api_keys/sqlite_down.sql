DROP TABLE generation_api_keys;
