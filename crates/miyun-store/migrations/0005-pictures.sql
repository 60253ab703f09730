-- A picture is kept in several widths; each names the widest, by which articles know the picture.
ALTER TABLE media ADD COLUMN picture TEXT;
ALTER TABLE media ADD COLUMN width BIGINT;
ALTER TABLE media ADD COLUMN height BIGINT;
CREATE INDEX media_picture ON media (picture);
