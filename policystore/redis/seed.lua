-- Makes log anew, from one entry of the record, at which there is a checkpoint unless it is entry 1.
-- KEYS: log, meta, the checkpoint's. ARGV: the record's epoch; revision, hash and encoding of the entry; where the checkpoint
-- was taken, or none; the name of this seed; how the key of a checkpoint begins; and, to replace what is there and of no
-- lower epoch, what of it the caller saw: epoch, seed, id and hash of the last entry; all empty otherwise.
-- Answers: OK; KEPT, if there is something that the caller did not see; GONE, if the checkpoint is not there.

local function hash(message)
	local fields = message[2]
	for i = 1, #fields, 2 do
		if fields[i] == 'hash' then return fields[i + 1] end
	end
	return ''
end

local meta = redis.call('HMGET', KEYS[2], 'epoch', 'seed', 'checkpoint', 'previous')
local last = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', '1')[1]
local stored = meta[1] or ''
local epoch = #stored <= 15 and string.match(stored, '^[1-9]%d*$') and tonumber(stored) or nil -- else nobody wrote that
local ours = tonumber(ARGV[1])
local empty = not epoch or not last
local higher = epoch and epoch > ours
local lower = epoch and epoch < ours
local seen = ARGV[8] ~= '' and meta[1] == ARGV[8] and (meta[2] or '') == ARGV[9]
	and (last and last[1] or '') == ARGV[10] and (last and hash(last) or '') == ARGV[11]
if not (lower or seen or empty and not higher) then return {'KEPT'} end

if ARGV[5] ~= 'none' then
	if redis.call('STRLEN', KEYS[3]) == 0 then return {'GONE'} end
	redis.call('PERSIST', KEYS[3])
end
redis.call('UNLINK', KEYS[1])
redis.call('XADD', KEYS[1], ARGV[2] .. '-0', 'hash', ARGV[3], 'entry', ARGV[4])
redis.call('HSET', KEYS[2], 'epoch', ARGV[1], 'seed', ARGV[6], 'checkpoint', ARGV[5], 'previous', 'none')
for _, old in ipairs({meta[3] or 'none', meta[4] or 'none'}) do
	if old ~= 'none' and old ~= ARGV[5] then redis.call('UNLINK', ARGV[7] .. old) end
end
return {'OK'}
