-- Where to put what does not fit in memory; one folder for each process.
-- params: folder
SET temp_directory = $folder;
