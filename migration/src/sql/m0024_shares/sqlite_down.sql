DROP TABLE generation_shares;
