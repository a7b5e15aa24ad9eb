DROP TABLE generation_rates;
