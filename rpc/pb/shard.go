package pb

// ShardInfo is the part of a vertically sharded query that one request is for (thanos.ShardInfo).
//
//	shard_index=1 total_shards=2 int64, by=3 bool, labels=4 repeated string
type ShardInfo struct {
	Index, Total int64
	By           bool // Labels are those that count; else all others do
	Labels       []string
}

// Unmarshal reads s from m and keeps nothing of it.
func (s *ShardInfo) Unmarshal(m []byte) error {
	*s = ShardInfo{}
	return each("ShardInfo", m, func(f field) (err error) {
		switch f.num {
		case 1:
			s.Index, err = f.int64()
		case 2:
			s.Total, err = f.int64()
		case 3:
			s.By, err = f.bool()
		case 4:
			var name string
			name, err = f.string()
			s.Labels = append(s.Labels, name)
		}
		return err
	})
}
