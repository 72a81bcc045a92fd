package teishiv1

import (
	_ "embed"
	"fmt"
	"sync"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
)

// documented is the protos of this package with their comments, which generated code leaves out.
//
//go:embed documented.binpb
var documented []byte

// Documentation resolves descriptors for reflection: those of this package with their comments, so that `grpcurl describe`
// says what everything means, and all others from the global registry. It is read when first asked. The zero value is ready.
type Documentation struct {
	once  sync.Once
	files protoregistry.Files
}

// FindFileByPath implements protodesc.Resolver.
func (d *Documentation) FindFileByPath(path string) (protoreflect.FileDescriptor, error) {
	d.once.Do(d.read)
	return linker{&d.files}.FindFileByPath(path)
}

// FindDescriptorByName implements protodesc.Resolver.
func (d *Documentation) FindDescriptorByName(name protoreflect.FullName) (protoreflect.Descriptor, error) {
	d.once.Do(d.read)
	return linker{&d.files}.FindDescriptorByName(name)
}

// read links the files, which are embedded in the order of their imports. That it can is tested, so it panics if not.
func (d *Documentation) read() {
	var set descriptorpb.FileDescriptorSet
	if err := proto.Unmarshal(documented, &set); err != nil {
		panic(fmt.Errorf("read the documented descriptors: %w", err))
	}
	for _, file := range set.File {
		descriptor, err := protodesc.NewFile(file, linker{&d.files})
		if err == nil {
			err = d.files.RegisterFile(descriptor)
		}
		if err != nil {
			panic(fmt.Errorf("link %s: %w", file.GetName(), err))
		}
	}
}

// linker finds descriptors among the files first, then in the global registry.
type linker struct{ files *protoregistry.Files }

func (l linker) FindFileByPath(path string) (protoreflect.FileDescriptor, error) {
	if d, err := l.files.FindFileByPath(path); err == nil {
		return d, nil
	}
	return protoregistry.GlobalFiles.FindFileByPath(path)
}

func (l linker) FindDescriptorByName(name protoreflect.FullName) (protoreflect.Descriptor, error) {
	if d, err := l.files.FindDescriptorByName(name); err == nil {
		return d, nil
	}
	return protoregistry.GlobalFiles.FindDescriptorByName(name)
}
