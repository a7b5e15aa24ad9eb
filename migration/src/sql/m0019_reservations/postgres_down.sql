DROP TABLE generation_reservations;
