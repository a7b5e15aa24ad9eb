DROP TABLE generation_upload_tickets;
DROP TABLE generation_request_uploads;
DROP TABLE generation_uploads;
