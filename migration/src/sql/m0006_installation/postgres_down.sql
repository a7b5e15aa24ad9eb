DROP TABLE generation_installation;
