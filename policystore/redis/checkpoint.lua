-- Makes a checkpoint that was stored the newest, drops all but the one before it, and trims log.
-- KEYS: log, meta, the checkpoint's. ARGV: the record's epoch; where the newest was taken as the caller saw it, or none;
-- where this one was; the id before which log is trimmed, or nothing; how the key of a checkpoint begins.
-- Answers: OK; MOVED, if something else is the newest by now, or the checkpoint is not there.

local meta = redis.call('HMGET', KEYS[2], 'epoch', 'checkpoint', 'previous')
local newest, previous = meta[2] or 'none', meta[3] or 'none'
if meta[1] ~= ARGV[1] or newest ~= ARGV[2] or redis.call('STRLEN', KEYS[3]) == 0 then return {'MOVED'} end

redis.call('PERSIST', KEYS[3])
if newest ~= ARGV[3] then
	local older = previous
	if newest ~= 'none' and redis.call('STRLEN', ARGV[5] .. newest) > 0 then older = newest end -- else it was lost
	redis.call('HSET', KEYS[2], 'checkpoint', ARGV[3], 'previous', older)
	if previous ~= 'none' and previous ~= ARGV[3] and previous ~= older then redis.call('UNLINK', ARGV[5] .. previous) end
end
if ARGV[4] ~= '' then redis.call('XTRIM', KEYS[1], 'MINID', '~', ARGV[4]) end
return {'OK'}
